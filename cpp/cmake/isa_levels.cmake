# Instruction-set levels: the only file that spells instruction-set flags.
#
# Every level is the same sources compiled once more, into an extension module of its own. Python imports
# the best one that the machine can run (python/imkernels/_core/__init__.py).

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT APPLE)
  set(IMKERNELS_ALL_LEVELS baseline x86-64-v3 x86-64-v4)
else()
  set(IMKERNELS_ALL_LEVELS baseline)
endif()

set(IMKERNELS_LEVELS "${IMKERNELS_ALL_LEVELS}" CACHE STRING "Instruction-set levels to build; baseline is always needed")

# The module that holds `level`: _core_baseline, _core_v3, _core_v4.
function(imkernels_module_name level result)
  string(REPLACE "x86-64-" "" suffix "${level}")
  set(${result} "_core_${suffix}" PARENT_SCOPE)
endfunction()

function(imkernels_level_flags level result)
  set(flags_baseline "")
  set(flags_x86-64-v3 -march=x86-64-v3)
  # GCC prefers 256-bit vectors even where 512-bit ones are free.
  set(flags_x86-64-v4 -march=x86-64-v4 -mprefer-vector-width=512)
  if(NOT level IN_LIST IMKERNELS_ALL_LEVELS)
    message(FATAL_ERROR "IMKERNELS_LEVELS: unknown level '${level}'; this machine has ${IMKERNELS_ALL_LEVELS}")
  endif()
  set(${result} "${flags_${level}}" PARENT_SCOPE)
endfunction()
