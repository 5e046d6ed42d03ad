// Averages over windows of planes of up to a few thousand columns, and their gradients.
#pragma once

#include <vector>

#include "core/array_view.hpp"
#include "core/pool_windows.hpp"

namespace imkernels {

/// How a plane of sums is made of one of numbers: sum (y, x) is over rows[y] and columns[x].
struct SummedSpans {
    std::vector<Span> rows, columns;
};

/// What is divided by the product of a divisor of the row and one of the column.
enum class Divided { sums, numbers };

/// Whether there is such a loop: for float16, float32 and integers of up to 16 bits, where neither rows nor windows are
/// huge.
bool has_row_average(const ConstStack& numbers, const SummedSpans& spans, Divided divided);

/// out[y, x] = the sum over `spans`, divided by divisors.rows.divisors[y] * divisors.columns.divisors[x]; or each of
/// its numbers by those of the number's own row and column. Spans may be empty. Results are rounded once.
void row_average(const ConstStack& numbers, const MutableStack& out, const SummedSpans& spans,
                 const PoolWindows& divisors, Divided divided, int workers);

}  // namespace imkernels
