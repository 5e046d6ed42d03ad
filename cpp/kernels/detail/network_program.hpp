// Networks for any rectangle and any rank, as programs for the interpreter of network_steps.hpp.
//
// They are those of median_tile.hpp (which tells the idea) and sorted_lanes.hpp: a tile of outputs is halved until a
// half is a single window, merges drop what cannot be the value sought. Here the plan is made when the program runs, so
// that nothing has to be compiled for a size. Values live in slots, numbered from 0; lists are slots at a constant
// distance.
//
// Odd-even merges of a few values are single steps, whose values stay in registers; larger ones are two merges
// of half the size (the first, third, ... values of both lists, and the others) and a row of comparisons. Before each
// of them the values that cannot be among those wanted are left out at both ends of both lists.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/detail/sorted_lanes.hpp"

namespace imkernels::detail {

/// Slots first, first + step, ...
struct Run {
    int first = 0, step = 1, count = 0;

    int operator[](int i) const { return first + i * step; }
    Run part(int begin, int end) const { return {first + begin * step, step, end - begin}; }
    Run every_other(int begin) const { return {first + begin * step, 2 * step, (count - begin + 1) / 2}; }
};

/// What the interpreter does next. The lists are `first` and `second`, the results go to slots from `result` on.
struct Step {
    /// Values of a list that a single step sorts, or merges with another such: what registers hold, more or less.
    static constexpr int most = vector_registers < 32 ? 8 : 12;
    enum Kind : std::uint16_t {
        pairs = 0,
        pick = 1,
        sort = 2,                 // and the number of values
        merge = sort + most + 1,  // and the numbers less one, as digits
        kinds = merge + most * most
    };
    static constexpr std::uint16_t none = std::numeric_limits<std::uint16_t>::max();

    std::uint16_t kind;
    std::uint16_t first, second;
    std::int16_t first_step, second_step;
    std::uint16_t count;
    std::uint16_t result;
    std::uint16_t alone[2];  // slots, or none
};

class NetworkProgram {
public:
    struct Extents {
        int rows, columns;
    };

    /// For windows of `size` pixels, a tile of `outputs` windows, which are powers of two, and are `step` pixels apart.
    NetworkProgram(Extents size, Extents outputs, Extents step, int rank)
        : sought_{size.rows * size.columns, rank}, size_(size), outputs_(outputs), step_(step) {
        sort_columns();
        solve_tiles();
    }

    /// Rows that all windows of a tile have in common; its columns are sorted before.
    int core_rows() const { return size_.rows - step_.rows * (outputs_.rows - 1); }
    int rows() const { return size_.rows + step_.rows * (outputs_.rows - 1); }
    int columns() const { return size_.columns + step_.columns * (outputs_.columns - 1); }
    /// The row of the tile that is row `i` of those above and below the core.
    int outer_row(int i) const { return i < size_.rows - core_rows() ? i : i + core_rows(); }
    int outer_rows() const { return rows() - core_rows(); }

    /// Sorts the slots from 0 on into `sorted_column`: those values that may be the one sought.
    const std::vector<Step>& column_steps() const { return column_steps_; }
    Run sorted_column() const { return sorted_column_.run; }

    /// Takes the sorted columns one after another from slot 0 on, then the outer rows, to one slot per output.
    const std::vector<Step>& tile_steps() const { return steps_; }
    int result(int row, int column) const { return results_at_ + row * outputs_.columns + column; }

    int slots() const { return most_slots_; }
    /// Minima and maxima of a tile.
    int operations() const { return operations_; }
    bool fits() const { return most_slots_ < Step::none; }

private:
    struct List {
        Run run;
        Kept kept;
    };
    using Lists = std::vector<List>;
    using Corner = std::vector<std::vector<int>>;  // [row][column]

    /// What is left of a tile; the names are those of MedianTile. Its axis 0 is that along which it is halved next.
    struct Tile {
        int outputs[2];
        int step[2];
        List core;
        Lists across[2];       // lists along the other axis, before and behind the core
        Lists along[2];        // lists along axis 0
        Corner corners[2][2];  // [along's side][across' side][along's index][across' index]
    };

    void sort_columns() {
        const Run column{reserve(core_rows()), 1, core_rows()};
        sorted_column_ = sorted(column);
        std::swap(column_steps_, steps_);
        top_ = 0;
        operations_ = 0;
    }

    void solve_tiles() {
        const int core = sorted_column().count;
        const int beside = step_.columns * (outputs_.columns - 1);
        const int above = step_.rows * (outputs_.rows - 1);
        const int height = size_.columns - beside;
        const int columns_at = reserve(core * columns());
        const int rows_at = reserve(outer_rows() * columns());
        const auto column = [&](int c) { return List{{columns_at + c * core, 1, core}, sorted_column_.kept}; };
        const auto pixel = [&](int row, int c) { return rows_at + row * columns() + c; };
        Tile tile{{outputs_.columns, outputs_.rows}, {step_.columns, step_.rows}, {}, {}, {}, {}};
        Lists shared;
        for (int c = 0; c < height; ++c) {
            shared.push_back(column(beside + c));
        }
        tile.core = merged(shared);
        for (int c = 0; c < beside; ++c) {
            tile.across[0].push_back(column(c));
            tile.across[1].push_back(column(size_.columns + c));
        }
        for (int below = 0; below < 2; ++below) {
            for (int r = 0; r < above; ++r) {
                const int row = below * above + r;
                tile.along[below].push_back(sorted({pixel(row, beside), 1, height}));
                for (int right = 0; right < 2; ++right) {
                    std::vector<int> corner(static_cast<std::size_t>(beside));
                    std::iota(corner.begin(), corner.end(), pixel(row, right * size_.columns));
                    tile.corners[below][right].push_back(corner);
                }
            }
        }
        results_at_ = reserve(outputs_.rows * outputs_.columns);
        solve(tile, {0, 0}, false);
    }

    // NOLINTNEXTLINE(misc-no-recursion): each half is half as large.
    void solve(const Tile& tile, std::pair<int, int> place, bool turned) {
        if (tile.outputs[0] < tile.outputs[1]) {
            return solve(transposed(tile), {place.second, place.first}, !turned);
        }
        if (tile.outputs[0] == 1) {
            const auto [column, row] = turned ? std::pair(place.second, place.first) : place;
            move(tile.core.run[0], result(row, column));
            return;
        }
        const int bottom = top_;
        for (int side = 0; side < 2; ++side) {
            solve(half(tile, side), {place.first + side * tile.outputs[0] / 2, place.second}, turned);
            top_ = bottom;
        }
    }

    static Tile transposed(const Tile& tile) {
        Tile turned{{tile.outputs[1], tile.outputs[0]}, {tile.step[1], tile.step[0]}, tile.core, {}, {}, {}};
        for (int one = 0; one < 2; ++one) {
            turned.across[one] = tile.along[one];
            turned.along[one] = tile.across[one];
            for (int other = 0; other < 2; ++other) {
                const Corner& corner = tile.corners[one][other];
                Corner& target = turned.corners[other][one];
                target.resize(corner.empty() ? tile.across[other].size() : corner[0].size());
                for (const std::vector<int>& row : corner) {
                    for (std::size_t c = 0; c < row.size(); ++c) {
                        target[c].push_back(row[c]);
                    }
                }
            }
        }
        return turned;
    }

    Tile half(const Tile& tile, int side) {
        const int outputs = tile.outputs[0] / 2;
        const int left = tile.step[0] * (outputs - 1);  // of the lists on a side that the half keeps
        const int added = tile.step[0] * outputs;       // that its core takes up
        const int shared = side == 0 ? left : 0;        // the first of those that it takes up
        const int beside = side == 0 ? 0 : added;       // the first of those that it keeps
        Tile part{{outputs, tile.outputs[1]}, {tile.step[0], tile.step[1]}, {}, {}, {}, {}};
        const auto from = [](const auto& all, int begin, int count) {
            return std::vector(all.begin() + begin, all.begin() + begin + count);
        };
        part.core = merged(tile.core, merged(from(tile.across[side], shared, added)));
        for (int below = 0; below < 2; ++below) {
            part.across[below] = from(tile.across[below], beside, left);
            for (std::size_t r = 0; r < tile.along[below].size(); ++r) {
                Lists ends;
                for (const int slot : from(tile.corners[below][side][r], shared, added)) {
                    ends.push_back({{slot, 1, 1}, whole(1)});
                }
                part.along[below].push_back(merged(tile.along[below][r], merged(ends)));
                for (int right = 0; right < 2; ++right) {
                    part.corners[below][right].push_back(from(tile.corners[below][right][r], beside, left));
                }
            }
        }
        return part;
    }

    // Lists

    static Kept whole(int count) { return all(count); }

    // NOLINTNEXTLINE(misc-no-recursion): each half is half as long.
    List sorted(Run run) {
        if (run.count == 1) {
            return {run, whole(1)};
        }
        if (run.count <= Step::most) {
            const int result = reserve(run.count);
            add({static_cast<std::uint16_t>(Step::sort + run.count),
                 slot(run.first),
                 0,
                 distance(run.step),
                 0,
                 0,
                 slot(result),
                 {Step::none, Step::none}});
            operations_ += 2 * run.count * run.count / 3;
            return cropped({{result, 1, run.count}, whole(run.count)});
        }
        const List one = sorted(run.part(0, run.count / 2));
        return merged(one, sorted(run.part(run.count / 2, run.count)));
    }

    List cropped(const List& list) const {
        const Kept kept = list.kept.cropped(sought_);
        const int begin = kept.begin - list.kept.begin;
        return {list.run.part(begin, begin + kept.count), kept};
    }

    List merged(const List& one, const List& other) {
        const Kept both = one.kept.with(other.kept);
        const Kept kept = both.cropped(sought_);
        const int begin = kept.begin - both.begin;
        return {merged(one.run, other.run, begin, begin + kept.count), kept};
    }

    // NOLINTNEXTLINE(misc-no-recursion): each half is half as long.
    List merged(const Lists& lists) {
        if (lists.size() == 1) {
            return lists[0];
        }
        const auto middle = lists.begin() + static_cast<std::ptrdiff_t>(lists.size() / 2);
        const List one = merged(Lists(lists.begin(), middle));
        return merged(one, merged(Lists(middle, lists.end())));
    }

    /// Values [begin, end) of two lists that are merged.
    // NOLINTNEXTLINE(misc-no-recursion): the lists are halved.
    Run merged(Run one, Run other, int begin, int end) {
        prune(one, other, begin, end);
        if (one.count == 0 || other.count == 0) {
            return (one.count == 0 ? other : one).part(begin, end);
        }
        if (end - begin == 1) {
            return picked(one, other, begin);
        }
        if (one.count > other.count) {
            std::swap(one, other);
        }
        if (other.count <= Step::most) {
            const int result = reserve(one.count + other.count);
            const int kind = Step::merge + (one.count - 1) * Step::most + other.count - 1;
            add({static_cast<std::uint16_t>(kind),
                 slot(one.first),
                 slot(other.first),
                 distance(one.step),
                 distance(other.step),
                 0,
                 slot(result),
                 {Step::none, Step::none}});
            operations_ += 3 * (one.count + other.count);
            return {result + begin, 1, end - begin};
        }
        return merged_by_halves(one, other, begin, end);
    }

    /// Leaves out the values that cannot be among [begin, end) of the merged list.
    static void prune(Run& one, Run& other, int& begin, int& end) {
        for (int before = -1; before != one.count + other.count;) {
            before = one.count + other.count;
            const int low[2] = {std::max(0, begin - other.count), std::max(0, begin - one.count)};
            one = one.part(std::min(low[0], one.count), std::min(one.count, end));
            other = other.part(std::min(low[1], other.count), std::min(other.count, end));
            one.count = std::max(one.count, 0);
            other.count = std::max(other.count, 0);
            begin -= low[0] + low[1];
            end -= low[0] + low[1];
        }
    }

    // NOLINTNEXTLINE(misc-no-recursion): the lists are halved.
    Run merged_by_halves(Run one, Run other, int begin, int end) {
        // Merged value 0 is the first odd one, 2i + 1 and 2i + 2 are even value i and odd value i + 1; one may be left.
        const int odd_count = (one.count + 1) / 2 + (other.count + 1) / 2;
        const int even_count = one.count + other.count - odd_count;
        const int pairs = std::min(even_count, odd_count - 1);
        const int total = one.count + other.count;
        const bool head = begin == 0;
        const bool tail = end == total && 1 + 2 * pairs < total;
        const int first = head ? 0 : (begin - 1) / 2;
        const int last = std::min(pairs, end / 2);  // one past it
        const int at = head ? 0 : 2 * first + 1;    // the merged value that comes first
        const int count = last - first;
        const Run result{reserve(2 * count + static_cast<int>(head) + static_cast<int>(tail)), 1, 0};
        const int bottom = top_;
        const bool odd_tail = tail && odd_count > even_count;
        const bool even_tail = tail && !odd_tail;
        const Run odd = merged(one.every_other(0), other.every_other(0), head ? 0 : first + 1,
                               last + 1 + static_cast<int>(odd_tail));
        const Run even = merged(one.every_other(1), other.every_other(1), first, last + static_cast<int>(even_tail));
        const Run compared = head ? odd.part(1, odd.count) : odd;
        Step step{Step::pairs,         slot(even.first),        slot(compared.first),
                  distance(even.step), distance(odd.step),      static_cast<std::uint16_t>(count),
                  slot(result.first),  {Step::none, Step::none}};
        if (head) {
            step.alone[0] = slot(odd.first);
        }
        if (tail) {
            step.alone[1] = slot(odd_tail ? compared[count] : even[count]);
        }
        add(step);
        operations_ += 2 * count;
        top_ = bottom;
        return {result.first + begin - at, 1, end - begin};
    }

    /// Value `rank` of two lists: the least of what is the largest if rank + 1 values come from their fronts.
    Run picked(Run one, Run other, int rank) {
        const int least = std::max(0, rank + 1 - other.count);  // that come from the first list
        const int most = std::min(one.count, rank + 1);
        const int first = std::max(least, 1);
        const int last = std::min(most, rank);
        const int count = std::max(0, last - first + 1);
        const int result = reserve(1);
        Step step{Step::pick,
                  slot(count > 0 ? one[first - 1] : 0),
                  slot(count > 0 ? other[rank - first] : 0),
                  distance(one.step),
                  static_cast<std::int16_t>(-other.step),
                  static_cast<std::uint16_t>(count),
                  slot(result),
                  {Step::none, Step::none}};
        if (least == 0) {
            step.alone[0] = slot(other[rank]);
        }
        if (most == rank + 1) {
            step.alone[1] = slot(one[rank]);
        }
        add(step);
        operations_ += 2 * count + 1;
        return {result, 1, 1};
    }

    void move(int source, int target) { add({Step::pick, 0, 0, 0, 0, 0, slot(target), {slot(source), Step::none}}); }

    void add(const Step& step) { steps_.push_back(step); }

    // Slots are a stack: what a half of a tile needs ends with it.
    int reserve(int count) {
        const int first = top_;
        top_ += count;
        most_slots_ = std::max(most_slots_, top_);
        return first;
    }

    static std::uint16_t slot(int number) { return static_cast<std::uint16_t>(number); }
    static std::int16_t distance(int slots) { return static_cast<std::int16_t>(slots); }

    Sought sought_;
    Extents size_, outputs_, step_;
    std::vector<Step> steps_, column_steps_;
    List sorted_column_;
    int results_at_ = 0;
    int top_ = 0;
    int most_slots_ = 0;
    int operations_ = 0;
};

}  // namespace imkernels::detail
