# Warnings, hardening and sanitizers, the same for every level.

option(IMKERNELS_WERROR "Turn compiler warnings into errors" OFF)
option(IMKERNELS_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)

add_library(imkernels_options INTERFACE)
target_compile_features(imkernels_options INTERFACE cxx_std_20)
target_compile_options(imkernels_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wcast-align -Wnon-virtual-dtor
  -Wno-psabi # how vectors wider than the level's registers are passed: no such call leaves a module
  $<$<BOOL:${IMKERNELS_WERROR}>:-Werror>
  # Contraction to FMA is allowed; nothing else of fast-math is, except what cannot change a result:
  # no kernel reads errno or the floating-point exception flags.
  -fno-math-errno -fno-trapping-math -ffp-contract=fast)

if(IMKERNELS_SANITIZE)
  # AddressSanitizer sees what `null` and `object-size` would, at less of the compiler's time.
  set(sanitizers -fsanitize=address,undefined -fsanitize=float-cast-overflow -fno-sanitize=null,object-size
    -fno-sanitize-recover=all)
  # Reports name functions and lines: what more -g brings takes the compiler a quarter of its time, -O1 half of it.
  target_compile_options(imkernels_options INTERFACE ${sanitizers} -fno-omit-frame-pointer -Og -g1)
  target_link_options(imkernels_options INTERFACE ${sanitizers})
else()
  # The OpenSSF set for shared objects. No `-z nodlopen`: Python opens the module with dlopen.
  target_compile_options(imkernels_options INTERFACE
    -fstack-protector-strong -fstack-clash-protection
    $<$<NOT:$<CONFIG:Debug>>:-O3 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
  target_compile_definitions(imkernels_options INTERFACE _GLIBCXX_ASSERTIONS)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    target_compile_options(imkernels_options INTERFACE -fcf-protection=full)
  endif()
  if(NOT APPLE)
    target_link_options(imkernels_options INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
  endif()
endif()
