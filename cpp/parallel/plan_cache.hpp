// What calls plan once and use again, shared by all threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

namespace imkernels {

/// Keeps the plans that were asked for last.
template <class Key, class Plan>
class PlanCache {
public:
    explicit PlanCache(std::size_t most) : most_(most) {}

    /// The plan for `key`: `make(key)`, unless it is known.
    template <class Make>
    std::shared_ptr<const Plan> get(const Key& key, const Make& make) {
        // A thread that a fork has left behind may hold the lock for ever: nobody waits for it.
        const std::unique_lock lock(mutex_, std::try_to_lock);
        if (lock) {
            const auto same = [&](const auto& entry) { return entry.first == key; };
            const auto found = std::find_if(plans_.begin(), plans_.end(), same);
            if (found != plans_.end()) {
                plans_.splice(plans_.begin(), plans_, found);
                return found->second;
            }
        }
        auto plan = std::make_shared<const Plan>(make(key));
        if (lock) {
            plans_.emplace_front(key, plan);
            plans_.resize(std::min(plans_.size(), most_));
        }
        return plan;
    }

private:
    std::size_t most_;
    std::mutex mutex_;
    std::list<std::pair<Key, std::shared_ptr<const Plan>>> plans_;  // the last one first
};

}  // namespace imkernels
