// Annealing of a placement that is legal already: what lies in a few places is exchanged with what lies in
// as many others. Every exchange leaves the placement legal; the rules are those of packed.py.
//
// A tile has eight slots, each for a LUT and a flip-flop; the fifth holds a LUT RAM's write port too. A
// cluster is what dedicated wires tie together: a carry chain, a multiplexer of LUTs, a LUT RAM. It keeps its
// slots when it goes to other tiles, and whatever is there comes back, so that nothing inside it can change.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

namespace {

constexpr int NONE = -1;
constexpr int SLOTS = 8;
constexpr int PORT_SLOT = 4;  // of a LUT RAM's write port

enum Kind { LUT, FLIP_FLOP, WRITE_PORT, KINDS };

// Bits of `flags`, as in packed.py.
enum Flag : uint16_t {
    IS_LUT = 1,
    IS_FLIP_FLOP = 2,
    MOVABLE = 4,
    CARRY = 8,
    TIED = 16,        // a LUT and the flip-flop in its slot that reads it by their own wire
    LUT_USES_M = 32,  // the slot's input M goes to a multiplexer
    FF_USES_M = 64,   // the slot's input M goes to the flip-flop
    PORT_BLOCK = 128, // the two LUTs that a write port takes the place of
    BLOCK = 256,      // block RAM or multiplier
};

}  // namespace

extern "C" {

// Arrays of the design; those that are not const change with the placement.
struct Problem {
    int32_t width, height, cells, nets;
    int32_t *x, *y, *slot;              // by cell; slot -1: not in a tile of slots
    int32_t *site;                      // by cell: whose site, in the beginning, a block has
    const uint16_t *flags;              // by cell
    const int32_t *tile_key, *slice_key;  // by flip-flop: what it shares with its tile, and its slice
    const int32_t *cluster;             // by cell; -1: none
    const int32_t *block_class;         // by cell: blocks of one class may change places; -1: no block
    const int32_t *inputs;              // by cell: pins that wires of the fabric lead to
    const int32_t *net_start, *net_pin; // cells of a net, the driver first
    const float *rest;                  // by pin of a net: ns of its longest path but for its wire; -1: none
    const int32_t *cell_start, *cell_net;  // nets of a cell
    const uint8_t *usable;              // by tile: whether it has slots
    const float *wire_ns;               // by distance
    const float *late;                  // by ns of a path, late_steps each: what one costs that is so long
    const float *branches;              // by net: its wire over half the perimeter of its box
    const float *dear_x, *dear_y;       // what wire along x and y costs more than 1, summed from the origin:
                                        // (height + 1) x (width + 1)
    int32_t late_steps, late_size;
    float crowding, room;               // by 2 x 2 tiles: crowding * (inputs - room)**2 is what too many cost
};

}

namespace {

struct Random {
    uint64_t state;
    uint32_t next() {  // PCG32
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        uint32_t value = uint32_t(((state >> 18) ^ state) >> 27);
        uint32_t turn = uint32_t(state >> 59);
        return (value >> turn) | (value << ((32 - turn) & 31));
    }
    uint32_t below(uint32_t n) { return uint32_t((uint64_t(next()) * n) >> 32); }
    double unit() { return next() * (1.0 / 4294967296.0); }
};

class Annealer {
  public:
    Annealer(const Problem &problem, uint64_t seed) : p(problem), random{2 * seed + 1} {
        for (auto &places : at) places.assign(size_t(p.width) * p.height * SLOTS, NONE);
        load.assign(size_t(p.width) * p.height, 0);
        int clusters = 0, classes = 0;
        for (int c = 0; c < p.cells; c++) {
            clusters = std::max(clusters, p.cluster[c] + 1);
            classes = std::max(classes, p.block_class[c] + 1);
        }
        members.resize(clusters), blocks.resize(classes);
        met.assign(clusters, 0), met_in.assign(clusters, 0), head.assign(clusters, NONE);
        for (int c = 0; c < p.cells; c++) {
            if (p.slot[c] >= 0) {
                at[kind(c)][place(c)] = c;
                load[bin(place(c))] += p.inputs[c];
            }
            if (p.cluster[c] >= 0 && !(p.flags[c] & IS_FLIP_FLOP)) {
                members[p.cluster[c]].push_back(c);
                int32_t &first = head[p.cluster[c]];
                if (first == NONE || p.x[c] < p.x[first]) first = c;
            }
            if (p.flags[c] & BLOCK) blocks[p.block_class[c]].push_back(c);
            if (p.flags[c] & MOVABLE && p.cluster[c] < 0) movable.push_back(c);
        }
        // Once, whatever its size: moves of long chains last the longest, and few are worth making.
        for (auto &cells : members)
            if (!cells.empty() && has(cells[0], MOVABLE)) movable.push_back(cells[0]);
        cost.assign(p.nets, 0), touched_in.assign(p.nets, 0);
        weigh();
    }

    // After a change of the rests, or of what paths or wire cost.
    void weigh() {
        int corner = (p.height + 1) * (p.width + 1) - 1;
        dear = p.dear_x[corner] > 0 || p.dear_y[corner] > 0;
        for (int n = 0; n < p.nets; n++) cost[n] = of_net(n);
    }

    // So many moves of each cell and each cluster; how many were made.
    int64_t run(int64_t moves, double temperature, int range) {
        taken = 0;
        if (movable.empty()) return 0;
        for (int64_t i = 0; i < moves * int64_t(movable.size()); i++) move(temperature, range);
        return taken;
    }

  private:
    Problem p;
    Random random;
    std::vector<int32_t> at[KINDS];  // what lies in a place
    std::vector<float> load;         // inputs by 2 x 2 tiles
    std::vector<float> cost;         // by net
    bool dear = false;               // whether any wire costs more than 1
    std::vector<int32_t> movable;    // cells, and one of each cluster
    std::vector<std::vector<int32_t>> members, blocks;
    int64_t taken = 0;

    struct Exchange { int kind, a, b; };
    std::vector<Exchange> exchanges;
    std::vector<int32_t> touched;
    std::vector<float> fresh;
    std::vector<int64_t> touched_in, met_in;
    std::vector<int32_t> met, head;  // by cluster: how many of its cells are in the way; one in its first tile
    int64_t attempts = 0, meetings = 0;

    int kind(int c) const { return p.flags[c] & IS_FLIP_FLOP ? FLIP_FLOP : p.flags[c] & IS_LUT ? LUT : WRITE_PORT; }
    int place(int c) const { return (p.y[c] * p.width + p.x[c]) * SLOTS + p.slot[c]; }
    int bin(int place) const {
        int tile = place / SLOTS;
        return (tile / p.width / 2) * p.width + tile % p.width / 2;
    }
    bool has(int c, int flag) const { return p.flags[c] & flag; }
    bool stays(int c) const { return c >= 0 && !has(c, MOVABLE); }

    float of_path(float ns) const { return p.late[std::min(int(ns * p.late_steps), p.late_size - 1)]; }

    // What wire of a net costs beyond its length, were it spread evenly over its box.
    float of_box(int n, int left, int right, int low, int high) const {
        int stride = p.width + 1, from = low * stride, to = (high + 1) * stride;
        auto sum = [&](const float *dear) {
            return dear[to + right + 1] - dear[from + right + 1] - dear[to + left] + dear[from + left];
        };
        int w = right - left, h = high - low;
        return p.branches[n] * (float(w) * sum(p.dear_x) + float(h) * sum(p.dear_y)) / float((w + 1) * (h + 1));
    }

    // Half the perimeter of a net, where wire is dear more than it, plus what the paths through its wires cost
    float of_net(int n) const {
        int first = p.net_start[n], end = p.net_start[n + 1], driver = p.net_pin[first];
        int x0 = p.x[driver], y0 = p.y[driver];
        int left = x0, right = x0, low = y0, high = y0;
        float late = 0;
        for (int i = first + 1; i < end; i++) {
            int x = p.x[p.net_pin[i]], y = p.y[p.net_pin[i]];
            left = std::min(left, x), right = std::max(right, x);
            low = std::min(low, y), high = std::max(high, y);
            if (p.rest[i] >= 0) late += of_path(p.rest[i] + p.wire_ns[std::abs(x - x0) + std::abs(y - y0)]);
        }
        if (dear) late += of_box(n, left, right, low, high);
        return float(right - left + high - low) + late;
    }

    float crowd(int b) const {
        float over = load[b] - p.room;
        return over > 0 ? p.crowding * over * over : 0;
    }

    // Whether flip-flops share what they must, slices are all carry or none, and no input M is used twice.
    bool legal(int tile) const {
        int first = tile * SLOTS, tile_key = NONE;
        for (int s = 0; s < SLOTS; s += 2) {
            int l0 = at[LUT][first + s], l1 = at[LUT][first + s + 1], slice_key = NONE;
            if (l0 >= 0 && l1 >= 0 && has(l0, CARRY) != has(l1, CARRY)) return false;
            if (s == PORT_SLOT && at[WRITE_PORT][first + s] >= 0)
                for (int l : {l0, l1})
                    if (l < 0 || !has(l, PORT_BLOCK)) return false;
            for (int k = s; k < s + 2; k++) {
                int f = at[FLIP_FLOP][first + k], l = at[LUT][first + k];
                if (f < 0) continue;
                if (tile_key != NONE && p.tile_key[f] != tile_key) return false;
                if (slice_key != NONE && p.slice_key[f] != slice_key) return false;
                tile_key = p.tile_key[f], slice_key = p.slice_key[f];
                if (l >= 0 && has(l, LUT_USES_M) && has(f, FF_USES_M)) return false;
            }
        }
        return true;
    }

    void put(int kind, int place, int c) {
        at[kind][place] = c;
        if (c < 0) return;
        int tile = place / SLOTS;
        p.x[c] = tile % p.width, p.y[c] = tile / p.width, p.slot[c] = place % SLOTS;
    }
    // Its own inverse: no place is in two exchanges.
    void exchange() {
        for (auto &e : exchanges) {
            int a = at[e.kind][e.a], b = at[e.kind][e.b];
            put(e.kind, e.a, b), put(e.kind, e.b, a);
        }
    }

    void begin() { attempts++, touched.clear(), fresh.clear(); }
    // Change of cost by the nets of a cell that has moved, those aside that another has brought in.
    double change(int c) {
        double sum = 0;
        for (int i = p.cell_start[c]; i < p.cell_start[c + 1]; i++) {
            int n = p.cell_net[i];
            if (touched_in[n] == attempts) continue;
            touched_in[n] = attempts;
            float now = of_net(n);
            touched.push_back(n), fresh.push_back(now);
            sum += now - cost[n];
        }
        return sum;
    }
    // Inputs that change bins; `sign` -1 takes it back.
    double recrowd(int sign) {
        double sum = 0;
        for (auto &e : exchanges) {
            int a = bin(e.a), b = bin(e.b);
            if (a == b) continue;
            int in_a = at[e.kind][e.a], in_b = at[e.kind][e.b];
            int more = (in_a >= 0 ? p.inputs[in_a] : 0) - (in_b >= 0 ? p.inputs[in_b] : 0);
            if (!more) continue;
            sum -= crowd(a) + crowd(b);
            load[a] += float(sign * more), load[b] -= float(sign * more);
            sum += crowd(a) + crowd(b);
        }
        return sum;
    }
    bool accept(double delta, double temperature) {
        if (delta > 0 && random.unit() >= std::exp(-delta / temperature)) return false;
        for (size_t i = 0; i < touched.size(); i++) cost[touched[i]] = fresh[i];
        taken++;
        return true;
    }

    void attempt(double temperature) {
        exchange();
        for (size_t i = 0; i < exchanges.size(); i++) {
            int a = exchanges[i].a / SLOTS, b = exchanges[i].b / SLOTS;
            if (i && exchanges[i - 1].a / SLOTS == a && exchanges[i - 1].b / SLOTS == b) continue;
            if (!legal(a) || !legal(b)) return exchange();
        }
        begin();
        double delta = recrowd(1);
        for (auto &e : exchanges)
            for (int place : {e.a, e.b})
                if (int c = at[e.kind][place]; c >= 0) delta += change(c);
        if (accept(delta, temperature)) return;
        recrowd(-1);
        exchange();
    }

    // A cell that one of the nets of `c` leads to.
    int neighbour(int c) {
        int n = p.cell_net[p.cell_start[c] + random.below(p.cell_start[c + 1] - p.cell_start[c])];
        int first = p.net_start[n], pins = p.net_start[n + 1] - first;
        return p.net_pin[first + (random.next() & 1 ? 0 : random.below(pins))];
    }

    // A tile for `c`: near where it is or, mostly, on its way to a neighbour.
    int target(int c, int range) {
        int x = p.x[c], y = p.y[c];
        if (p.cell_start[c] < p.cell_start[c + 1] && random.next() & 3) {
            int o = neighbour(c);
            double part = random.unit();
            x += int(std::lround((p.x[o] - x) * part)), y += int(std::lround((p.y[o] - y) * part));
            range = std::max(1, range / 3);
        }
        x += int(random.below(2 * range + 1)) - range, y += int(random.below(2 * range + 1)) - range;
        if (x < 0 || y < 0 || x >= p.width || y >= p.height) return NONE;
        int tile = y * p.width + x;
        return p.usable[tile] ? tile : NONE;
    }

    bool loose(int c) const { return c < 0 || (has(c, MOVABLE) && !has(c, TIED) && p.cluster[c] < 0); }

    void move(double temperature, int range) {
        int c = movable[random.below(uint32_t(movable.size()))];
        if (has(c, BLOCK)) return move_block(c, temperature);
        if (int id = p.cluster[c]; id >= 0) c = members[id][random.below(uint32_t(members[id].size()))];
        int tile = target(c, range);
        if (tile == NONE) return;
        exchanges.clear();
        if (p.cluster[c] >= 0) return move_cluster(c, tile, temperature);
        int from = place(c), to = tile * SLOTS + int(random.below(SLOTS));
        if (from == to) return;
        if (has(c, TIED)) {
            for (int k : {LUT, FLIP_FLOP}) {
                int o = at[k][to];
                if (o >= 0 && (!has(o, MOVABLE) || p.cluster[o] >= 0)) return;
                exchanges.push_back({k, from, to});
            }
        } else {
            if (!loose(at[kind(c)][to])) return;
            exchanges.push_back({kind(c), from, to});
        }
        attempt(temperature);
    }

    void move_cluster(int c, int tile, double temperature) {
        int id = p.cluster[c];
        int dx = tile % p.width - p.x[c], dy = tile / p.width - p.y[c];
        // Onto another of several tiles as it lies: few exchange where they begin by chance.
        int other = p.slot[c] < 0 || kind(c) != LUT ? NONE : at[LUT][tile * SLOTS + p.slot[c]];
        if (other >= 0 && p.cluster[other] >= 0 && p.cluster[other] != id) {
            int to = head[p.cluster[other]], from = head[id];
            dx = p.x[to] - p.x[from], dy = p.y[to] - p.y[from];
        }
        if (!dx && !dy) return;
        meetings++;
        for (int m : members[id]) {
            int x = p.x[m] + dx, y = p.y[m] + dy;
            if (x < 0 || y < 0 || x >= p.width || y >= p.height || !p.usable[y * p.width + x]) return;
            int from = place(m), to = (y * p.width + x) * SLOTS + p.slot[m], k = kind(m), o = at[k][to];
            if (stays(o)) return;
            if (o >= 0 && p.cluster[o] >= 0) {
                if (p.cluster[o] == id) return;
                if (met_in[p.cluster[o]] != meetings) met_in[p.cluster[o]] = meetings, met[p.cluster[o]] = 0;
                met[p.cluster[o]]++;
            }
            exchanges.push_back({k, from, to});
            if (k != LUT) continue;
            if (stays(at[FLIP_FLOP][from]) || stays(at[FLIP_FLOP][to])) return;
            exchanges.push_back({FLIP_FLOP, from, to});
        }
        // Other clusters come back whole or not at all.
        for (auto &e : exchanges) {
            int o = e.kind == FLIP_FLOP ? NONE : at[e.kind][e.b];
            if (o >= 0 && p.cluster[o] >= 0 && size_t(met[p.cluster[o]]) != members[p.cluster[o]].size()) return;
        }
        attempt(temperature);
    }

    void move_block(int c, double temperature) {
        if (p.cell_start[c] == p.cell_start[c + 1]) return;
        auto &others = blocks[p.block_class[c]];
        int o = neighbour(c), best = NONE, least = 0;
        for (int i = 0; i < 4; i++) {
            int other = others[random.below(uint32_t(others.size()))];
            int distance = std::abs(p.x[other] - p.x[o]) + std::abs(p.y[other] - p.y[o]);
            if (other != c && (best == NONE || distance < least)) best = other, least = distance;
        }
        if (best == NONE) return;
        auto swap = [&] {
            std::swap(p.x[c], p.x[best]), std::swap(p.y[c], p.y[best]), std::swap(p.site[c], p.site[best]);
        };
        swap();
        begin();
        double delta = change(c);
        delta += change(best);
        if (!accept(delta, temperature)) swap();
    }
};

}  // namespace

extern "C" {

void *annealer_new(const Problem *problem, uint64_t seed) { return new Annealer(*problem, seed); }
void annealer_weigh(void *annealer) { static_cast<Annealer *>(annealer)->weigh(); }
int64_t annealer_run(void *annealer, int64_t moves, double temperature, int32_t range) {
    return static_cast<Annealer *>(annealer)->run(moves, temperature, range);
}
void annealer_delete(void *annealer) { delete static_cast<Annealer *>(annealer); }

}
