#include "parallel/process.hpp"

#include <pthread.h>

#include <atomic>
#include <cctype>
#include <cstdlib>
#include <mutex>
#include <vector>

namespace imkernels {

namespace {
std::atomic<bool> in_forked_child{false};

/// The stack size that the OpenMP runtime gives its threads: OMP_STACKSIZE (or GNU's name for it) in KiB or with a
/// unit; 0 leaves it to the system.
std::size_t runtime_stack_size() {
    const char* text = std::getenv("OMP_STACKSIZE");                // NOLINT(concurrency-mt-unsafe): read once,
    text = text != nullptr ? text : std::getenv("GOMP_STACKSIZE");  // NOLINT(concurrency-mt-unsafe): as libgomp
    if (text == nullptr) {
        return 0;
    }
    char* unit = nullptr;
    const std::size_t number = std::strtoull(text, &unit, 10);
    while (*unit == ' ') {
        ++unit;
    }
    switch (std::toupper(static_cast<unsigned char>(*unit))) {
        case 'B': return number;
        case 'M': return number << 20;
        case 'G': return number << 30;
        default: return number << 10;
    }
}

/// Creates `count` threads that all live at the same time, and joins them.
bool threads_can_be_created(int count) {
    std::mutex gate;
    const auto wait = [](void* locked) -> void* {
        const std::scoped_lock passed(*static_cast<std::mutex*>(locked));
        return nullptr;
    };
    static const std::size_t stack_size = runtime_stack_size();
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (stack_size > 0) {
        pthread_attr_setstacksize(&attributes, stack_size);  // ignored where it is too small, as by the runtime
    }
    std::vector<pthread_t> threads;
    threads.reserve(static_cast<std::size_t>(count));
    gate.lock();
    for (pthread_t thread; static_cast<int>(threads.size()) < count; threads.push_back(thread)) {
        if (pthread_create(&thread, &attributes, wait, &gate) != 0) {
            break;
        }
    }
    gate.unlock();
    for (const pthread_t thread : threads) {
        pthread_join(thread, nullptr);
    }
    pthread_attr_destroy(&attributes);
    return static_cast<int>(threads.size()) == count;
}
}  // namespace

void watch_forks() {
    pthread_atfork(nullptr, nullptr, [] { in_forked_child = true; });
}

bool forked() {
    return in_forked_child;
}

bool team_available(int threads) {
    thread_local int last = 1;  // each calling thread has a pool of its own in the OpenMP runtime
    if (threads > last && !threads_can_be_created(threads - 1)) {
        return false;
    }
    last = threads;
    return true;
}

}  // namespace imkernels
