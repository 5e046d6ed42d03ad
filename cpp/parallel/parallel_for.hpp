// The one door to threads.
#pragma once

#include <cstddef>
#include <functional>
#include <stdexcept>

#include "core/index.hpp"
#include "core/scratch.hpp"

namespace imkernels {

/// A loop over independent items. What an item computes may depend on its number, never on who computes it.
struct Loop {
    index count;                // items
    double cost;                // estimated nanoseconds of one item on one core
    std::size_t scratch_bytes;  // per worker, allocated before any work starts
    int workers;                // at most this many threads
};

/// Runs `body(item, scratch)` for every item of the loop. Serial where the loop is too small to gain from
/// threads, in a forked child (see process.hpp) and where threads cannot be had. The first exception of a
/// body ends the loop and is thrown again here.
///
/// The calling thread polls the interrupt hook between items; if it asks to stop, `Interrupted` is thrown.
void parallel_for(const Loop& loop, const std::function<void(index, Scratch)>& body);

/// A hook that says whether to give up (true), called at most every 50 ms by the thread that called
/// `parallel_for`.
using InterruptHook = bool (*)();
void set_interrupt_hook(InterruptHook hook);

/// Date (yyyymm) of the OpenMP standard that the module was built for; 0 without OpenMP.
int openmp_date();

struct Interrupted : std::runtime_error {
    Interrupted() : std::runtime_error("interrupted") {}
};

}  // namespace imkernels
