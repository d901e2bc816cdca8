// SPDX-License-Identifier: Apache-2.0
// Memory of the race checker: who accessed what, and what the compiler calls at each access.
#ifdef MOESCOPE_SIMT_RACES

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <string>

#include "engine/backend/cuda/emulation/race_order.h"
#include "engine/backend/cuda/emulation/races.h"

// The linker's names of the program's ends.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
extern char __data_start[];
extern char _end[];
extern char __executable_start[];
}
// NOLINTEND(bugprone-reserved-identifier)

namespace moescope::cuda::simt::races {
namespace {

/// One access of four bytes.
struct Record {
    Moment when;
    std::uint32_t place = 0;  ///< of the instruction, from the program's start
    std::uint8_t bytes = 0;   ///< a bit for each
    bool atomic = false;
};
/// The latest writes, and of the reads since as many as there is place for.
struct Cell {
    Record writes[2];
    Record reads[2];
    std::uint32_t unordered = 0;  ///< reads that `reads` were drawn from
    std::uint32_t more = 0;       ///< shared memory: place of its further readers; 0: none
    std::uint8_t written = 0;     ///< shared memory: bytes that this block has written
};

constexpr std::size_t kDeviceBytes = std::size_t{8} << 30;
constexpr const char* kUnwritten = "read, before it was written,";

struct Memory {
    // Device memory: one range of addresses, with cells and a byte for each byte: was it written?
    std::byte* device = nullptr;
    Cell* deviceCells = nullptr;
    std::uint8_t* written = nullptr;
    std::map<std::size_t, std::size_t> free;   ///< offset, bytes with what keeps two apart
    std::map<std::size_t, std::size_t> taken;  ///< offset, bytes that were asked for

    std::vector<Cell> dynamicCells;
    // `__shared__` variables are variables of the thread that runs the kernel, `__device__` ones
    // are those of the program.
    std::span<const std::byte> ofThread;
    std::vector<Cell> staticCells;
    std::vector<Cell> variableCells;

    std::set<std::array<std::uint32_t, 2>> reported;  ///< places of a race, each pair once a kernel
    std::string report;
    std::vector<std::vector<Record>> readers{1};  ///< a warp's latest read each
    std::uint32_t random = 1;
};
Memory m;

void* reserve(std::size_t bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw std::runtime_error("no addresses for the race checker");
    return at;
}

std::string placeText(std::uint32_t place) {
    char command[200];
    std::snprintf(command, sizeof command, "addr2line -e /proc/%d/exe -i -C -f 0x%x 2>&1",
                  static_cast<int>(getpid()), place - 1);
    std::string text;
    if (FILE* pipe = popen(command, "r")) {
        char line[2000];
        bool name = true;
        while (std::fgets(line, sizeof line, pipe) != nullptr) {
            std::string word(line);
            word.pop_back();
            if (!name) {
                const std::size_t from = word.rfind("engine/");
                text += (text.empty() ? "" : " < ") +
                        (from != std::string::npos ? word.substr(from) : word);
            }
            name = !name;
        }
        pclose(pipe);
    }
    return text;
}

void tell(const char* what, const Record* before, const char* where, std::size_t offset,
          std::size_t actor, std::uint32_t place) {
    if (!m.reported.insert({before != nullptr ? before->place : 0, place}).second) return;
    if (m.reported.size() > 20) return;
    const auto who = [&](std::size_t a) {
        return a < threadsOfBlock() ? "thread " + std::to_string(a) : "a copy of the copy engine";
    };
    std::string bytes = std::to_string(offset);
    if (auto piece = m.taken.upper_bound(offset); *where == 'd' && piece != m.taken.begin()) {
        --piece;
        bytes = std::to_string(offset - piece->first) + " of " + std::to_string(piece->second);
    }
    std::string text = std::string(what) + " of " + where + " memory, byte " + bytes + ", by " +
                       who(actor) + " of block " + std::to_string(running->index.x) + ", " +
                       std::to_string(running->index.y) + ", " + std::to_string(running->index.z) +
                       " at " + placeText(place);
    if (before != nullptr) {
        constexpr const char* kRelations[] = {" of the same block", " of another block",
                                              " of an earlier kernel"};
        text += "; not ordered behind the access by " + who(before->when.actor) +
                kRelations[static_cast<int>(relationTo(before->when))] + " at " +
                placeText(before->place);
    }
    m.report += text + "\n";
}

/// Whether `r` may be given up for an access of `bytes` that follows it.
bool isCovered(const Record& r, std::uint8_t bytes, std::size_t actor) {
    return r.when.run == 0 || ((r.bytes & ~bytes) == 0 && isKnown(r.when, actor));
}

bool keepIn(Record (&records)[2], const Record& r, std::size_t actor) {
    for (Record& old : records) {
        // An atomic access does not stand for a plain one: it conflicts with fewer.
        const bool stands = !r.atomic || old.atomic || old.when.run == 0;
        if (stands && isCovered(old, r.bytes, actor)) {
            old = r;
            return true;
        }
    }
    return false;
}

std::uint32_t randomBelow(std::uint32_t n) {
    m.random = m.random * 1664525U + 1013904223U;
    return static_cast<std::uint32_t>(std::uint64_t{m.random} * n >> 32U);
}

void keepRead(Cell& cell, const Record& r, std::size_t actor, bool shared) {
    if (keepIn(cell.reads, r, actor)) {
        cell.unordered = std::max(cell.unordered, 2U);
        return;
    }
    if (!shared) {
        // Each of the n reads has the same chance of being one of the two.
        const std::uint32_t place = randomBelow(++cell.unordered);
        if (place < 2) cell.reads[place] = r;
        return;
    }
    if (cell.more == 0) {
        cell.more = static_cast<std::uint32_t>(m.readers.size());
        m.readers.emplace_back();
    }
    std::vector<Record>& readers = m.readers[cell.more];
    const auto same = std::ranges::find_if(
        readers, [&](const Record& old) { return old.when.actor / 32 == r.when.actor / 32; });
    if (same == readers.end()) {
        readers.push_back(r);
    } else {
        *same = r;
    }
}

void touch(Cell& cell, Record r, bool writes, std::size_t actor, const char* where,
           std::size_t offset) {
    const bool shared = *where == 's';
    const auto conflicts = [&](const Record& old) {
        return old.when.run != 0 && (old.bytes & r.bytes) != 0 && !(old.atomic && r.atomic) &&
               !isKnown(old.when, actor);
    };
    for (const Record& old : cell.writes) {
        if (conflicts(old)) tell(writes ? "write" : "read", &old, where, offset, actor, r.place);
    }
    if (!writes) return keepRead(cell, r, actor, shared);
    cell.written |= r.bytes;
    for (Record& old : cell.reads) {
        if (conflicts(old)) tell("write", &old, where, offset, actor, r.place);
        if (isCovered(old, r.bytes, actor)) old = {};
    }
    cell.unordered = 0;
    if (cell.more != 0) {
        for (const Record& old : m.readers[cell.more]) {
            if (conflicts(old)) tell("write", &old, where, offset, actor, r.place);
        }
        m.readers[cell.more].clear();
    }
    if (!keepIn(cell.writes, r, actor)) cell.writes[randomBelow(2)] = r;
}

Cell& at(std::vector<Cell>& cells, std::size_t word) {
    if (word >= cells.size()) cells.resize(word + 1);
    return cells[word];
}

/// Of shared memory, which was another block's before this one.
Cell& cellOfRun(std::vector<Cell>& cells, std::size_t word, std::uint32_t run) {
    Cell& cell = at(cells, word);
    bool isWritten = false;
    for (Record& r : cell.writes) {
        if (r.when.run != run) r = {};
        isWritten = isWritten || r.when.run != 0;
    }
    if (!isWritten) cell.written = 0;
    for (Record& r : cell.reads) {
        if (r.when.run != run) r = {};
    }
    if (cell.more != 0) {
        std::vector<Record>& readers = m.readers[cell.more];
        if (!readers.empty() && readers.front().when.run != run) readers.clear();
    }
    return cell;
}

std::uintptr_t numberOf(const void* at) {
    return reinterpret_cast<std::uintptr_t>(at);
}

/// Reads what was never written.
void checkWritten(std::size_t offset, std::size_t bytes, bool writes, std::size_t actor,
                  std::uint32_t place) {
    std::uint8_t* const first = m.written + offset;
    if (writes) {
        std::fill_n(first, bytes, std::uint8_t{1});
    } else if (std::find(first, first + bytes, 0) != first + bytes) {
        tell(kUnwritten, nullptr, "device", offset, actor, place);
    }
}

enum class Space { Device, Dynamic, Static, Variable, Own };
struct Place {
    Space space;
    std::size_t offset;
};

Place placeOf(const void* at) {
    const auto within = [&](std::uintptr_t first, std::size_t bytes) {
        return numberOf(at) - first < bytes;
    };
    const auto dynamic = numberOf(running->shared.data());
    const auto ofThread = numberOf(m.ofThread.data()) & ~std::uintptr_t{3};
    const auto data = numberOf(__data_start) & ~std::uintptr_t{3};
    if (within(numberOf(m.device), kDeviceBytes))
        return {Space::Device, numberOf(at) - numberOf(m.device)};
    if (within(dynamic, running->shared.size())) return {Space::Dynamic, numberOf(at) - dynamic};
    if (within(ofThread, m.ofThread.size())) return {Space::Static, numberOf(at) - ofThread};
    if (within(data, numberOf(_end) - data)) return {Space::Variable, numberOf(at) - data};
    return {Space::Own, 0};  // a thread's
}

const char* nameOf(Space space) {
    return space == Space::Device ? "device" : space == Space::Variable ? "variable" : "shared";
}

Cell& cellOf(Space space, std::size_t word, std::uint32_t run) {
    switch (space) {
        case Space::Device:
            return m.deviceCells[word];
        case Space::Variable:
            return at(m.variableCells, word);
        case Space::Dynamic:
            return cellOfRun(m.dynamicCells, word, run);
        default:
            return cellOfRun(m.staticCells, word, run);
    }
}

/// At least a byte keeps two allocations of device memory apart.
std::size_t sizeInArena(std::size_t bytes) {
    return (bytes + 256) / 256 * 256;
}

}  // namespace

void access(std::size_t actor, const void* at, std::size_t bytes, bool writes, bool atomic,
            const void* caller) {
    const Place place = placeOf(at);
    if (place.space == Space::Own) return;
    std::size_t offset = place.offset;
    const char* const where = nameOf(place.space);
    Record r;
    r.when = now(actor);
    r.place = static_cast<std::uint32_t>(numberOf(caller) - numberOf(__executable_start));
    r.atomic = atomic;
    if (place.space == Space::Device) checkWritten(offset, bytes, writes, actor, r.place);
    for (const std::size_t stop = offset + bytes; offset < stop;) {
        const std::size_t word = offset / 4;
        const std::size_t upTo = std::min(stop, 4 * word + 4);
        // The bytes from offset % 4 on, as many.
        r.bytes = static_cast<std::uint8_t>((1U << (upTo - offset)) - 1U) << offset % 4;
        Cell& cell = cellOf(place.space, word, r.when.run);
        if (place.space == Space::Static && !writes && (r.bytes & ~cell.written) != 0)
            tell(kUnwritten, nullptr, where, offset, actor, r.place);
        touch(cell, r, writes, actor, where, offset);
        offset = upTo;
    }
}

void beginAccesses() {
    // The first object is the program; of its variables those of the thread that asks.
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void*) {
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
                m.ofThread = {static_cast<const std::byte*>(info->dlpi_tls_data),
                              info->dlpi_phdr[i].p_memsz};
            }
            return 1;
        },
        nullptr);
    m.reported.clear();
    m.report.clear();
}

void endAccesses() {
    if (!m.report.empty()) throw std::logic_error(std::exchange(m.report, {}));
}

void read(const void* at, std::size_t bytes, const void* caller) {
    access(running->current->index, at, bytes, false, false, caller);
}

void write(const void* at, std::size_t bytes, const void* caller) {
    access(running->current->index, at, bytes, true, false, caller);
}

// ---- Device memory -----------------------------------------------------------------------------

void streamWrites(const void* at, std::size_t bytes) {
    orderAll();
    const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(at) - m.device);
    if (m.device == nullptr || offset >= kDeviceBytes) return;
    std::fill_n(m.written + offset, bytes, std::uint8_t{1});
}

void* allocate(std::size_t bytes) {
    if (m.device == nullptr) {
        m.device = static_cast<std::byte*>(reserve(kDeviceBytes));
        m.written = static_cast<std::uint8_t*>(reserve(kDeviceBytes));
        m.deviceCells = static_cast<Cell*>(reserve(kDeviceBytes / 4 * sizeof(Cell)));
        m.free[0] = kDeviceBytes;
    }
    const std::size_t size = sizeInArena(bytes);
    for (auto it = m.free.begin(); it != m.free.end(); ++it) {
        const auto [from, room] = *it;
        if (room < size) continue;
        m.free.erase(it);
        if (room > size) m.free[from + size] = room - size;
        m.taken[from] = bytes;
        return m.device + from;
    }
    return nullptr;
}

bool release(void* at) {
    const auto from = static_cast<std::size_t>(static_cast<std::byte*>(at) - m.device);
    const auto found = m.taken.find(from);
    if (m.device == nullptr || found == m.taken.end()) return false;
    std::size_t first = from;
    std::size_t size = sizeInArena(found->second);
    m.taken.erase(found);
    std::fill_n(m.written + from, size, std::uint8_t{0});
    std::fill_n(m.deviceCells + from / 4, size / 4, Cell{});
    auto next = m.free.upper_bound(first);
    if (next != m.free.end() && next->first == first + size) {
        size += next->second;
        next = m.free.erase(next);
    }
    if (next != m.free.begin()) {
        const auto before = std::prev(next);
        if (before->first + before->second == first) {
            before->second += size;
            return true;
        }
    }
    m.free[first] = size;
    return true;
}

}  // namespace moescope::cuda::simt::races

// ---- What the compiler calls -------------------------------------------------------------------

using namespace moescope::cuda::simt;

namespace {
inline void reached(const void* at, std::size_t bytes, bool writes, const void* caller) {
    if (!races::inKernel()) return;
    races::access(running->current->index, at, bytes, writes, false, caller);
}
}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
#define MOESCOPE_ACCESS(name, bytes, writes)                     \
    void __tsan_##name(void* at) {                               \
        reached(at, bytes, writes, __builtin_return_address(0)); \
    }
MOESCOPE_ACCESS(read1, 1, false)
MOESCOPE_ACCESS(read2, 2, false)
MOESCOPE_ACCESS(read4, 4, false)
MOESCOPE_ACCESS(read8, 8, false)
MOESCOPE_ACCESS(read16, 16, false)
MOESCOPE_ACCESS(write1, 1, true)
MOESCOPE_ACCESS(write2, 2, true)
MOESCOPE_ACCESS(write4, 4, true)
MOESCOPE_ACCESS(write8, 8, true)
MOESCOPE_ACCESS(write16, 16, true)
MOESCOPE_ACCESS(unaligned_read2, 2, false)
MOESCOPE_ACCESS(unaligned_read4, 4, false)
MOESCOPE_ACCESS(unaligned_read8, 8, false)
MOESCOPE_ACCESS(unaligned_read16, 16, false)
MOESCOPE_ACCESS(unaligned_write2, 2, true)
MOESCOPE_ACCESS(unaligned_write4, 4, true)
MOESCOPE_ACCESS(unaligned_write8, 8, true)
MOESCOPE_ACCESS(unaligned_write16, 16, true)
MOESCOPE_ACCESS(volatile_read1, 1, false)
MOESCOPE_ACCESS(volatile_write1, 1, true)
// Atomics of host code.
std::uint8_t __tsan_atomic8_load(const volatile std::uint8_t* at, int) {
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}
std::uint32_t __tsan_atomic32_fetch_add(volatile std::uint32_t* at, std::uint32_t value, int) {
    return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);
}
std::uint64_t __tsan_atomic64_fetch_add(volatile std::uint64_t* at, std::uint64_t value, int) {
    return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);
}
void __tsan_read_range(void* at, std::size_t bytes) {
    reached(at, bytes, false, __builtin_return_address(0));
}
void __tsan_write_range(void* at, std::size_t bytes) {
    reached(at, bytes, true, __builtin_return_address(0));
}
}
// NOLINTEND(bugprone-reserved-identifier)

#endif
