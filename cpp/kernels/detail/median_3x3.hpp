// Medians of 3x3 windows from their sorted columns.
//
// The median of nine is the median of three of them: the largest of the columns' minima, the median of their medians
// and the smallest of their maxima (Smith, "Implementing median filters in XC4000E FPGAs", Xcell 23, 1996). Of two
// windows above each other, each column has two pixels in common, which are sorted once for both. That makes 27 minima
// and maxima per pixel. Sorting columns only once for all three windows that they are in makes 17. To store and load
// what is sorted would take longer than that saves; where lanes can be moved on by one instruction, it pays.
#pragma once

#include "kernels/detail/sorted_lanes.hpp"

namespace imkernels::detail {

template <class Vector>
IMKERNELS_INLINE Vector median_of_three(Vector one, Vector two, Vector three) {
    compare_exchange(one, two);
    compare_exchange(two, three);
    compare_exchange(one, two);
    return two;
}

/// The sorted columns of windows above each other, of row 0 and row 1.
template <class Vector>
struct SortedColumns {
    Vector low[2], middle[2], high[2];
};

/// Sorts a column of four pixels, pixel(row), of which the first three are in row 0 and the last three in row 1.
template <class Vector, class Pixel>
IMKERNELS_INLINE SortedColumns<Vector> sorted_columns(const Pixel& pixel) {
    Vector shared[2] = {pixel(Constant<1>{}), pixel(Constant<2>{})};
    compare_exchange(shared[0], shared[1]);
    SortedColumns<Vector> columns;
    repeat<2>([&](auto row) {
        columns.low[row] = shared[0];
        columns.middle[row] = pixel(Constant<3 * row>{});
        columns.high[row] = shared[1];
        compare_exchange(columns.low[row], columns.middle[row]);
        compare_exchange(columns.middle[row], columns.high[row]);
    });
    return columns;
}

/// Calls store(row, median) for the windows of three sorted columns.
template <class Vector, class Store>
IMKERNELS_INLINE void medians_of_columns(const SortedColumns<Vector>& one, const SortedColumns<Vector>& two,
                                         const SortedColumns<Vector>& three, const Store& store) {
    repeat<2>([&](auto row) {
        Vector low[3] = {one.low[row], two.low[row], three.low[row]};
        compare_exchange(low[0], low[1]);
        compare_exchange(low[1], low[2]);
        Vector high[3] = {one.high[row], two.high[row], three.high[row]};
        compare_exchange(high[1], high[2]);
        compare_exchange(high[0], high[1]);
        store(row,
              median_of_three(low[2], median_of_three(one.middle[row], two.middle[row], three.middle[row]), high[0]));
    });
}

/// Calls store(row, median) for a window, row 0, and the one below it, row 1, given their pixels pixel(row, column).
template <class Vector, class Pixel, class Store>
IMKERNELS_INLINE void medians_of_3x3(const Pixel& pixel, const Store& store) {
    const auto column = [&](auto number) IMKERNELS_INLINE_LAMBDA {
        return sorted_columns<Vector>([&](auto row) IMKERNELS_INLINE_LAMBDA { return pixel(row, number); });
    };
    medians_of_columns(column(Constant<0>{}), column(Constant<1>{}), column(Constant<2>{}), store);
}

/// The columns `by` lanes further on, where `next` follows `columns`.
template <int by, class T>
IMKERNELS_INLINE SortedColumns<Lanes<T>> moved_on(const SortedColumns<Lanes<T>>& columns,
                                                  const SortedColumns<Lanes<T>>& next) {
    const auto move = [](const Lanes<T>& one, const Lanes<T>& other) IMKERNELS_INLINE_LAMBDA {
        return ordered<[](index lane) { return lane + by; }, T>(one, other);
    };
    SortedColumns<Lanes<T>> moved;
    repeat<2>([&](auto row) {
        moved.low[row] = move(columns.low[row], next.low[row]);
        moved.middle[row] = move(columns.middle[row], next.middle[row]);
        moved.high[row] = move(columns.high[row], next.high[row]);
    });
    return moved;
}

}  // namespace imkernels::detail
