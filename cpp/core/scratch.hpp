// Scratch memory of one worker: a block given out front to back, in pieces that start on a cache line.
#pragma once

#include <cstddef>
#include <new>

#include "core/index.hpp"

namespace imkernels {

/// Elements of slack behind a row in a buffer: vector code may read and write that far past the end.
inline constexpr index row_slack = 128;

class Scratch {
public:
    static constexpr std::size_t line = 64;

    explicit Scratch(std::byte* block) : next_(block) {}

    /// Bytes that `take<T>(count)` uses up.
    template <class T>
    static constexpr std::size_t bytes(index count) {
        return (static_cast<std::size_t>(count) * sizeof(T) + line - 1) / line * line;
    }

    template <class T>
    T* take(index count) {
        T* piece = reinterpret_cast<T*>(next_);
        next_ += bytes<T>(count);
        return piece;
    }

private:
    std::byte* next_;
};

}  // namespace imkernels
