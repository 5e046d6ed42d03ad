// Fourier transforms of a tile: of its columns in the lanes of vectors, of its rows after a block of them was
// transposed.
#pragma once

#include "kernels/detail/fourier.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// How the numbers of a tile lie in memory, and the steps of their transform. Columns lie in groups of as many as a
/// vector has lanes; blocks of as many rows are brought into a buffer, column by column.
class FourierTile {
public:
    static constexpr index lanes = lane_count<double>;

    FourierTile(index rows, index columns) : down_(rows), across_(columns) {}

    index rows() const { return down_.size(); }
    index columns() const { return across_.size(); }
    index numbers() const { return rows() * columns(); }

    /// Doubles of a tile, of a block of rows, and blocks of a tile.
    index size() const { return groups() * pitch(); }
    index block_size() const { return columns() * Complex::extent; }
    index blocks() const { return rows() / lanes; }

    /// Where the real part (0) or the imaginary part (1) of a number lies in a tile.
    index place(index row, index column, index part) const {
        return column / lanes * pitch() + row * Complex::extent + part * lanes + column % lanes;
    }

    /// Replaces the real parts (0) or the imaginary parts (1) of a row.
    void put_row(const double* numbers, index row, index part, double* tile) const {
        double* target = tile + place(row, 0, part);
        for (index x = 0; x < columns(); x += lanes, target += pitch()) {
            store_lanes(target, load_lanes(numbers + x));
        }
    }

    /// Brings the first `count` of them, rounded up to whole vectors.
    void take_row(const double* tile, index row, index part, index count, double* numbers) const {
        const double* source = tile + place(row, 0, part);
        for (index x = 0; x < count; x += lanes, source += pitch()) {
            store_lanes(numbers + x, load_lanes(source));
        }
    }

    void transform_columns(double* tile) const {
        for (index group = 0; group < groups(); ++group) {
            down_.forward(tile + group * pitch());
        }
    }

    /// Brings a block of rows, whose columns are transformed, into a buffer as a block of the spectrum.
    void transform_rows(const double* tile, index block, double* spectrum) const {
        for (index group = 0; group < groups(); ++group) {
            transpose_numbers(tile + place(block * lanes, group * lanes, 0),
                              spectrum + group * lanes * Complex::extent);
        }
        across_.forward(spectrum);
    }

    /// Back from the product of a block of the spectrum and one of a kernel's, which needs a buffer.
    void restore_rows(const double* spectrum, const double* factors, index block, double* product, double* tile) const {
        for (index i = 0; i < block_size(); i += Complex::extent) {
            (Complex::load(spectrum + i) * Complex::load(factors + i)).store(product + i);
        }
        across_.inverse(product);
        for (index group = 0; group < groups(); ++group) {
            transpose_numbers(product + group * lanes * Complex::extent, tile + place(block * lanes, group * lanes, 0));
        }
    }

    void restore_columns(double* tile) const {
        for (index group = 0; group < groups(); ++group) {
            down_.inverse(tile + group * pitch());
        }
    }

private:
    index groups() const { return columns() / lanes; }
    /// From one group of columns to the next: not a power of two, for which the groups would compete for places in a
    /// cache.
    index pitch() const { return (rows() + lanes) * Complex::extent; }

    static void transpose_numbers(const double* source, double* target) {
        Lanes<double> re[lanes];
        Lanes<double> im[lanes];
        for (index i = 0; i < lanes; ++i) {
            const Complex numbers = Complex::load(source + i * Complex::extent);
            re[i] = numbers.re;
            im[i] = numbers.im;
        }
        transpose<double>(re);
        transpose<double>(im);
        for (index i = 0; i < lanes; ++i) {
            Complex{re[i], im[i]}.store(target + i * Complex::extent);
        }
    }

    Fourier down_, across_;
};

}  // namespace imkernels::detail
