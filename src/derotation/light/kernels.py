"""A compiled loop over all that the light is fitted to; nothing here checks anything."""

from derotation.numerics.compiling import njit


@njit(cache=True, nogil=True)
def add_products(columns, values, share, weights, response, by_frame, by_part, raw, told):
    """Add up the design's products with weights, with itself, and with the response.

    columns, values (n p, m): of the functions that are not 0 at a place; share (n, p): the last
    column of the design; weights, response (n, p). To by_frame (n, k), by_part (p, k), raw (k, k)
    and told (k,) is added; all pass once over the rows, which products of sparse matrices do
    several times.
    """
    n, p = weights.shape
    m, last = columns.shape[1], raw.shape[0] - 1
    for i in range(n):
        for j in range(p):
            weight, row, own = weights[i, j], i * p + j, share[i, j]
            if weight == 0:
                continue
            for a in range(m):
                column, value = columns[row, a], weight * values[row, a]
                by_frame[i, column] += value
                by_part[j, column] += value
                told[column] += value * response[i, j]
                for b in range(m):
                    raw[column, columns[row, b]] += value * values[row, b]
                raw[column, last] += value * own
                raw[last, column] += value * own
            by_frame[i, last] += weight * own
            by_part[j, last] += weight * own
            told[last] += weight * own * response[i, j]
            raw[last, last] += weight * own * own
