#include "parallel/process.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace imkernels {

namespace {
std::atomic<bool> in_forked_child{false};

/// Creates `count` threads that all live at the same time, and joins them.
bool threads_can_be_created(int count) {
    std::mutex mutex;
    std::condition_variable released;
    bool done = false;
    std::vector<std::thread> threads;
    bool created = true;
    try {
        threads.reserve(static_cast<std::size_t>(count));
        for (int i = 0; i < count; ++i) {
            threads.emplace_back([&] {
                std::unique_lock lock(mutex);
                released.wait(lock, [&] { return done; });
            });
        }
    } catch (const std::system_error&) {
        created = false;
    } catch (const std::bad_alloc&) {
        created = false;
    }
    {
        const std::lock_guard lock(mutex);
        done = true;
    }
    released.notify_all();
    for (std::thread& thread : threads) {
        thread.join();
    }
    return created;
}
}  // namespace

void watch_forks() {
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork(nullptr, nullptr, [] { in_forked_child = true; });
#endif
}

bool forked() {
    return in_forked_child;
}

bool team_available(int threads) {
    thread_local int proven = 1;  // each calling thread has a pool of its own in the OpenMP runtime
    if (threads > proven && threads_can_be_created(threads - 1)) {
        proven = threads;
    }
    return threads <= proven;
}

}  // namespace imkernels
