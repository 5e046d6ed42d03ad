// The better of two numbers, or of two vectors lane by lane.
#pragma once

namespace imkernels::detail {

struct Lesser {
    template <class Key>
    static Key of(Key one, Key other) {
        return other < one ? other : one;
    }
};

struct Greater {
    template <class Key>
    static Key of(Key one, Key other) {
        return other > one ? other : one;
    }
};

}  // namespace imkernels::detail
