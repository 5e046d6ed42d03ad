// The only file with OpenMP in it.
//
// Items are handed out by an atomic counter, several at a time where they are small. The workers differ in
// nothing but the items that they happen to take, so results cannot depend on their number.
#include "parallel/parallel_for.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <new>
#include <thread>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "parallel/float_environment.hpp"
#include "parallel/process.hpp"

namespace imkernels {

namespace {
using Clock = std::chrono::steady_clock;

constexpr double serial_below = 60e3;  // ns of work; a team of two costs 5-20 us to start and to join
constexpr double grain = 10e3;         // ns of work to hand out at a time
constexpr auto poll_interval = std::chrono::milliseconds(50);

std::atomic<InterruptHook> interrupt_hook{nullptr};

/// When this thread last asked the hook; kept from loop to loop, since a call may consist of many short ones.
thread_local Clock::rep last_poll = 0;

void poll_interrupt() {
    const Clock::duration now = Clock::now().time_since_epoch();
    if (now - Clock::duration(last_poll) > poll_interval) {
        last_poll = now.count();
        const InterruptHook hook = interrupt_hook;
        if (hook != nullptr && hook()) {
            throw Interrupted();
        }
    }
}

int team_size(const Loop& loop) {
#ifdef _OPENMP
    const double work = static_cast<double>(loop.count) * loop.cost;
    if (loop.workers > 1 && loop.count > 1 && work >= serial_below && !forked() && omp_in_parallel() == 0) {
        // The same team for every loop, even one of fewer items: the runtime ends and creates threads whenever the
        // size changes. Only numbers beyond the cores are cut down to the items.
        const index cores = static_cast<index>(std::thread::hardware_concurrency());
        const int team = static_cast<int>(std::min<index>(loop.workers, std::max(loop.count, cores)));
        return team_available(team) ? team : 1;
    }
#endif
    (void)loop;
    return 1;
}

/// Scratch for the whole team in one allocation.
class TeamScratch {
public:
    TeamScratch(int team, std::size_t bytes)
        : pitch_((bytes + Scratch::line - 1) / Scratch::line * Scratch::line),
          block_(static_cast<std::byte*>(
              ::operator new(static_cast<std::size_t>(team) * pitch_, std::align_val_t{Scratch::line}))) {}
    ~TeamScratch() { ::operator delete(block_, std::align_val_t{Scratch::line}); }
    TeamScratch(const TeamScratch&) = delete;
    TeamScratch& operator=(const TeamScratch&) = delete;

    Scratch of(int member) const { return Scratch(block_ + pitch_ * static_cast<std::size_t>(member)); }

private:
    std::size_t pitch_;
    std::byte* block_;
};

/// What the members of a team share while they work.
class Progress {
public:
    Progress(const Loop& loop, int team) : count_(loop.count) {
        const index fair = loop.count / (index{8} * team);
        const index small = static_cast<index>(grain / std::max(loop.cost, 1.0));
        chunk_ = std::max<index>(1, team == 1 ? small : std::min(fair, small));
    }

    void work(const std::function<void(index, Scratch)>& body, Scratch scratch, bool caller) noexcept {
        const FloatEnvironment environment;
        try {
            for (index begin; !stopped_ && (begin = next_.fetch_add(chunk_)) < count_;) {
                const index end = std::min(begin + chunk_, count_);
                for (index item = begin; item < end; ++item) {
                    body(item, scratch);
                }
                if (caller) {
                    poll_interrupt();
                }
            }
        } catch (...) {
            keep(std::current_exception());
        }
    }

    void rethrow() const {
        if (error_) {
            std::rethrow_exception(error_);
        }
    }

private:
    void keep(const std::exception_ptr& error) {
        const std::scoped_lock lock(mutex_);
        error_ = error_ ? error_ : error;
        stopped_ = true;
    }

    index count_;
    index chunk_ = 1;
    std::atomic<index> next_{0};
    std::atomic<bool> stopped_{false};
    std::mutex mutex_;
    std::exception_ptr error_;
};
}  // namespace

void parallel_for(const Loop& loop, const std::function<void(index, Scratch)>& body) {
    const int team = team_size(loop);
    const TeamScratch scratch(team, loop.scratch_bytes);
    Progress progress(loop, team);
    if (team == 1) {
        progress.work(body, scratch.of(0), true);
    } else {
#ifdef _OPENMP
#pragma omp parallel num_threads(team) default(none) shared(progress, body, scratch)
        {
            const int member = omp_get_thread_num();
            progress.work(body, scratch.of(member), member == 0);
        }
#endif
    }
    progress.rethrow();
}

void set_interrupt_hook(InterruptHook hook) {
    interrupt_hook = hook;
}

int openmp_date() {
#ifdef _OPENMP
    return _OPENMP;
#else
    return 0;
#endif
}

}  // namespace imkernels
