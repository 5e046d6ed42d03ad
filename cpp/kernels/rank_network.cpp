// Any rank of any rectangle by networks that are planned at run time: about K^1.65 minima and maxima per pixel.
//
// kernels/detail/network_program.hpp makes the plan, network_steps.hpp follows it. A tile of W x H outputs is one lane;
// neighbouring tiles of a row lie in neighbouring lanes, so that rows are dealt out to W phases first (to W times the
// stride, where there is one) and results are put together again.
//
// Pixels are order-preserving keys (core/order_key.hpp), exact for every type. A network does not know NaNs: where a
// tile of the image has one (its loader knows), the windows that contain it are selected one by one.
#include "kernels/rank_network.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "kernels/detail/mend.hpp"
#include "kernels/detail/network_steps.hpp"
#include "kernels/detail/phase_rows.hpp"
#include "parallel/plan_cache.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"

namespace imkernels {

namespace {
using detail::NetworkProgram;
using Extents = NetworkProgram::Extents;

/// Outputs of a tile along an axis: as many as pay, measured (Zen 5), unless fewer make up the axis.
int tile_side(const WindowAxis& axis, index most) {
    const index size = axis.size / axis.step();
    index side = size < 15 ? 4 : 8;
    side = size < 9 ? 2 : side;
    side = size < 3 ? 1 : side;
    while (side > 1 && side >= 2 * most) {
        side /= 2;
    }
    return static_cast<int>(side);
}

/// The network, which takes milliseconds to plan.
std::shared_ptr<const NetworkProgram> program_for(Extents size, Extents outputs, Extents step, int rank) {
    using Numbers = std::array<int, 7>;
    static PlanCache<Numbers, NetworkProgram> cache(8);
    const Numbers numbers{size.rows, size.columns, outputs.rows, outputs.columns, step.rows, step.columns, rank};
    return cache.get(numbers, [&](const Numbers&) { return NetworkProgram(size, outputs, step, rank); });
}

template <class Key>
class RankNetwork {
public:
    RankNetwork(const ConstStack& image, const MutableStack& out, const Window2D& window, OrderRule rule, NanPolicy nan,
                const std::byte* fill)
        : planes_{image, out, window, 1},
          window_(window),
          rule_(rule),
          nan_(nan),
          step_{static_cast<int>(window.rows.step()), static_cast<int>(window.columns.step())},
          outputs_{tile_side(window.rows, out.first.rows), tile_side(window.columns, out.first.columns / lanes)},
          program_(program_for({static_cast<int>(window.rows.size), static_cast<int>(window.columns.size)}, outputs_,
                               step_, static_cast<int>(rule.rank(window.taps())))),
          phases_(outputs_.columns * step_.columns),
          // Nanoseconds per output on one core (Zen 5).
          cost_(0.4 * sizeof(Key) + 0.3 * program_->operations() / static_cast<double>(tile_outputs() * lanes)),
          shape_(choose_shape(out.first.rows, out.first.columns)),
          tiles_(ceil_div(shape_.columns, outputs_.columns)),
          phase_extent_(round_up(tiles_, lanes) + (program_->columns() - 1) / phases_ + 1),
          pitch_(round_up(phases_ * phase_extent_, lanes)),
          input_(planes_, shape_.columns, phases_, phase_extent_, fill),
          write_(row_writer<FromOrderKey, Key>(out.element)) {
        require(program_->fits(), "rank_network: too many slots to number");
        for (int c = 0; c < program_->columns(); ++c) {
            offsets_.push_back(input_.place(c));
        }
    }

    void run(int workers) const {
        const MutableStack& out = planes_.out;
        const TileGrid grid(out.planes(), out.first.rows, out.first.columns, shape_, cost_,
                            planes_.image.interleaved());
        grid.for_each(scratch_bytes(), workers, [&](const Tile& tile, Scratch scratch) { filter(tile, scratch); });
    }

private:
    using Vector = Lanes<Key>;
    static constexpr index lanes = lane_count<Key>;

    index tile_outputs() const { return index{outputs_.rows} * outputs_.columns; }

    /// Rows that `rows` outputs need, in whole tiles.
    index input_rows(index rows) const {
        const index groups = ceil_div(rows, outputs_.rows);
        return (groups - 1) * index{outputs_.rows} * step_.rows + program_->rows();
    }

    TileShape choose_shape(index rows, index columns) const {
        constexpr index most_keys = index{384} * 1024 / static_cast<index>(sizeof(Key));
        const index height = std::max<index>(outputs_.rows, 32);
        TileShape shape{std::clamp<index>(rows, 1, height), std::clamp<index>(columns, 1, 2048)};
        while (shape.columns > 1 &&
               input_rows(shape.rows) * (shape.columns * step_.columns + window_.columns.size) > most_keys) {
            shape.columns = (shape.columns + 1) / 2;
        }
        return shape;
    }

    /// Buffers of a tile of the image, in its worker's scratch.
    struct Buffers {
        Vector* slots;
        Key* window;  // the pixels of one
        Key* line;    // a row of results
        Key* spare;
        Key* rows;    // the tile's padded input, in phases
        Key* sorted;  // the rows of the core, sorted column by column
        Key* results;

        Buffers(Scratch& scratch, const RankNetwork& filter)
            : slots(reinterpret_cast<Vector*>(scratch.take<Key>(filter.slot_keys()))),
              window(scratch.take<Key>(filter.window_.taps())),
              line(scratch.take<Key>(filter.pitch_ + row_slack)),
              spare(scratch.take<Key>(filter.input_.room())),
              rows(scratch.take<Key>(filter.row_keys())),
              sorted(scratch.take<Key>(filter.sorted_keys())),
              results(scratch.take<Key>(filter.result_keys())) {}
    };

    index slot_keys() const { return program_->slots() * lanes; }
    index row_keys() const { return input_rows(shape_.rows) * pitch_; }
    index sorted_keys() const { return program_->sorted_column().count * pitch_; }
    index result_keys() const { return tile_outputs() * round_up(tiles_, lanes); }
    std::size_t scratch_bytes() const {
        return Scratch::bytes<Key>(slot_keys()) + Scratch::bytes<Key>(window_.taps()) +
               Scratch::bytes<Key>(pitch_ + row_slack) + Scratch::bytes<Key>(input_.room()) +
               Scratch::bytes<Key>(row_keys()) + input_.bytes() + Scratch::bytes<Key>(sorted_keys()) +
               Scratch::bytes<Key>(result_keys());
    }

    void filter(const Tile& tile, Scratch scratch) const {
        const Buffers buffers(scratch, *this);
        const auto whole = input_.columns(tile, scratch);
        bool nan = false;
        index loaded = 0;
        for (index y = 0; y < tile.rows; y += outputs_.rows) {
            const index first = y * step_.rows;
            for (; loaded < first + program_->rows(); ++loaded) {
                nan |= input_.load(tile, whole, input_.position(tile, tile.rows, loaded),
                                   buffers.rows + loaded * pitch_, buffers.spare);
            }
            const Key* rows = buffers.rows + first * pitch_;
            sort_columns(rows, buffers);
            const index tiles = ceil_div(tile.columns, outputs_.columns);
            for (index x = 0; x < tiles; x += lanes) {
                solve(rows, x, buffers);
            }
            for (index row = 0; row < std::min<index>(outputs_.rows, tile.rows - y); ++row) {
                write(tile, y + row, row, nan, rows + row * step_.rows * pitch_, buffers);
            }
        }
    }

    /// Sorts the columns of the core of a row of tiles.
    void sort_columns(const Key* rows, const Buffers& buffers) const {
        const int core = program_->core_rows();
        const Key* first = rows + (program_->outer_rows() / 2) * pitch_;
        const detail::Run sorted = program_->sorted_column();
        for (index x = 0; x < pitch_; x += lanes) {
            for (int i = 0; i < core; ++i) {
                buffers.slots[i] = load_lanes(first + i * pitch_ + x);
            }
            detail::NetworkSteps<Vector>::run(program_->column_steps(), buffers.slots);
            for (int i = 0; i < sorted.count; ++i) {
                store_lanes(buffers.sorted + i * pitch_ + x, buffers.slots[sorted[i]]);
            }
        }
    }

    void solve(const Key* rows, index x, const Buffers& buffers) const {
        Vector* next = buffers.slots;
        for (const index offset : offsets_) {
            for (int i = 0; i < program_->sorted_column().count; ++i) {
                *next++ = load_lanes(buffers.sorted + i * pitch_ + offset + x);
            }
        }
        for (int i = 0; i < program_->outer_rows(); ++i) {
            const Key* row = rows + program_->outer_row(i) * pitch_ + x;
            for (const index offset : offsets_) {
                *next++ = load_lanes(row + offset);
            }
        }
        detail::NetworkSteps<Vector>::run(program_->tile_steps(), buffers.slots);
        for (int row = 0; row < outputs_.rows; ++row) {
            for (int column = 0; column < outputs_.columns; ++column) {
                Key* target = buffers.results + (row * outputs_.columns + column) * round_up(tiles_, lanes);
                store_lanes(target + x, buffers.slots[program_->result(row, column)]);
            }
        }
    }

    /// Writes row `y` of a tile of the image, which is row `row` of the results; its windows begin in `first`.
    void write(const Tile& tile, index y, index row, bool nan, const Key* first, const Buffers& buffers) const {
        const Key* results = buffers.results + row * outputs_.columns * round_up(tiles_, lanes);
        detail::join_phases(results, outputs_.columns, round_up(tiles_, lanes), round_up(tiles_, lanes), buffers.line,
                            buffers.spare);
        if (nan) {
            mend(first, tile.columns, buffers);
        }
        const MutablePlane target = planes_.out.plane(tile.plane);
        write_(buffers.line, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
    }

    /// Selects the results of windows with NaNs.
    void mend(const Key* first, index columns, const Buffers& buffers) const {
        const index taps = window_.taps();
        for (index x = 0; x < columns; ++x) {
            const index pixel = x * step_.columns;
            for (index i = 0; i < taps; ++i) {
                buffers.window[i] =
                    first[i / window_.columns.size * pitch_ + input_.place(pixel + i % window_.columns.size)];
            }
            detail::mend_result(buffers.window, taps, rule_, nan_, buffers.line[x]);
        }
    }

    WidePlanes planes_;
    Window2D window_;
    OrderRule rule_;
    NanPolicy nan_;
    Extents step_;
    Extents outputs_;
    std::shared_ptr<const NetworkProgram> program_;
    int phases_;
    double cost_;
    TileShape shape_;
    index tiles_;         // of the network in a row
    index phase_extent_;  // pixels of a phase
    index pitch_;
    detail::PhaseRows<Key> input_;
    WriteRun<Key> write_;
    std::vector<index> offsets_;  // of a tile's columns in a row
};
}  // namespace

bool has_rank_network(const Window2D& window) {
    constexpr index most = 60;
    return window.rows.size <= most && window.columns.size <= most && window.taps() > 1;
}

void rank_network(const ConstStack& image, const MutableStack& out, const Window2D& window, OrderRule rule,
                  NanPolicy nan, const std::byte* fill, int workers) {
    require(has_rank_network(window), "rank_network: no network for this window");
    require_rule(rule, window.taps(), nan);
    require(out.element.dtype == image.element.dtype, "rank_network: the result has the type of the image");
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Key = OrderKey<typename decltype(tag)::type>;
        RankNetwork<Key>(image, out, window, rule, nan, fill).run(workers);
    });
}

}  // namespace imkernels
