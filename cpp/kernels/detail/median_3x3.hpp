// Medians of 3x3 windows from their sorted columns.
//
// The median of nine is the median of three of them: the largest of the columns' minima, the median of their medians
// and the smallest of their maxima (Smith, "Implementing median filters in XC4000E FPGAs", Xcell 23, 1996). Of two
// windows above each other, each column has two pixels in common, which are sorted once for both. That makes 27 minima
// and maxima per pixel. Sorting columns only once for all three windows that they are in would make 17, but takes
// longer: it stores and loads three times as much as there is to compute with.
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

/// Calls store(row, median) for a window, row 0, and the one below it, row 1, given their pixels pixel(row, column).
template <class Vector, class Pixel, class Store>
IMKERNELS_INLINE void medians_of_3x3(const Pixel& pixel, const Store& store) {
    Vector low[2][3];
    Vector middle[2][3];
    Vector high[2][3];
    repeat<3>([&](auto column) {
        Vector shared[2] = {pixel(Constant<1>{}, column), pixel(Constant<2>{}, column)};
        compare_exchange(shared[0], shared[1]);
        repeat<2>([&](auto row) {
            low[row][column] = shared[0];
            middle[row][column] = pixel(Constant<3 * row>{}, column);
            high[row][column] = shared[1];
            compare_exchange(low[row][column], middle[row][column]);
            compare_exchange(middle[row][column], high[row][column]);
        });
    });
    repeat<2>([&](auto row) {
        compare_exchange(low[row][0], low[row][1]);
        compare_exchange(low[row][1], low[row][2]);
        compare_exchange(high[row][1], high[row][2]);
        compare_exchange(high[row][0], high[row][1]);
        store(row, median_of_three(low[row][2], median_of_three(middle[row][0], middle[row][1], middle[row][2]),
                                   high[row][0]));
    });
}

}  // namespace imkernels::detail
