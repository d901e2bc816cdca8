// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/pickle_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <utility>

#include "engine/core/byte_cursor.h"
#include "engine/core/error.h"

namespace moescope {
namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view kRebuild = "torch._utils _rebuild_tensor_v2";
constexpr std::string_view kOrdered = "collections OrderedDict";
/// All that a dictionary of tensors names.
constexpr std::array<std::string_view, 13> kGlobals{
    kRebuild,
    kOrdered,
    "torch BoolStorage",
    "torch ByteStorage",
    "torch CharStorage",
    "torch ShortStorage",
    "torch IntStorage",
    "torch LongStorage",
    "torch HalfStorage",
    "torch BFloat16Storage",
    "torch FloatStorage",
    "torch DoubleStorage",
    "torch.storage UntypedStorage",
};

class PickleReader {
public:
    PickleReader(std::span<const std::byte> bytes, const std::string& origin)
        : bytes_(bytes), in_(bytes, origin) {
        if (bytes.size() > kMaxPickleBytes)
            in_.fail("its description of tensors has " + std::to_string(bytes.size()) +
                     " bytes, more than a dictionary of tensors takes");
    }

    Pickle read() {
        while (!step(in_.read<std::uint8_t>("the pickle"))) {
        }
        pickle_.root = pop();
        return std::move(pickle_);
    }

private:
    std::uint32_t pop() {
        if (stack_.empty() || (!marks_.empty() && stack_.size() <= marks_.back()))
            in_.fail("the pickle takes a value that is not there");
        const std::uint32_t top = stack_.back();
        stack_.pop_back();
        return top;
    }

    PickleValue& top() {
        if (stack_.empty()) in_.fail("the pickle takes a value that is not there");
        return pickle_.values[stack_.back()];
    }

    void push(PickleValue value) {
        stack_.push_back(static_cast<std::uint32_t>(pickle_.values.size()));
        pickle_.values.push_back(std::move(value));
    }
    void push(Kind kind, std::int64_t integer = 0) { push({kind, integer, {}, {}}); }

    std::vector<std::uint32_t> popToMark() {
        if (marks_.empty()) in_.fail("the pickle goes back to a mark that is not there");
        const auto begin = stack_.begin() + std::ptrdiff_t(marks_.back());
        std::vector<std::uint32_t> items(begin, stack_.end());
        stack_.erase(begin, stack_.end());
        marks_.pop_back();
        return items;
    }

    std::vector<std::uint32_t> popCount(std::size_t count) {
        std::vector<std::uint32_t> items(count);
        for (std::size_t i = count; i-- > 0;) items[i] = pop();
        return items;
    }

    std::string_view text(std::uint64_t length) {
        const std::uint64_t begin = in_.position();
        in_.skip(length, "a text of the pickle");
        return {reinterpret_cast<const char*>(bytes_.data() + begin),
                static_cast<std::size_t>(length)};
    }

    std::string_view line() {
        const std::uint64_t begin = in_.position();
        while (in_.read<char>("a name of the pickle") != '\n') {
        }
        return {reinterpret_cast<const char*>(bytes_.data() + begin),
                static_cast<std::size_t>(in_.position() - begin - 1)};
    }

    void global() {
        const std::uint64_t begin = in_.position();
        const std::string_view module = line(), name = line();
        const std::string both = std::string(module) + " " + std::string(name);
        if (std::find(kGlobals.begin(), kGlobals.end(), both) == kGlobals.end())
            in_.fail("its pickle names the Python object " + std::string(module) + "." +
                     std::string(name) + ", which no tensor needs; it was not run");
        // The line feed between both stands for the space.
        push({Kind::Global,
              0,
              {reinterpret_cast<const char*>(bytes_.data() + begin),
               static_cast<std::size_t>(in_.position() - begin - 1)},
              {}});
    }

    bool names(const PickleValue& value, std::string_view global) const {
        if (value.kind != Kind::Global || value.text.size() != global.size()) return false;
        return std::equal(global.begin(), global.end(), value.text.begin(),
                          [](char a, char b) { return a == b || (a == ' ' && b == '\n'); });
    }

    void reduce() {
        const std::uint32_t arguments = pop(), called = pop();
        const PickleValue& callable = pickle_.values[called];
        const PickleValue& given = pickle_.values[arguments];
        if (given.kind == Kind::Tuple && names(callable, kOrdered) && given.items.empty())
            push(Kind::Dictionary);
        else if (given.kind == Kind::Tuple && names(callable, kRebuild) && given.items.size() >= 4)
            push({Kind::Tensor, 0, {}, {arguments}});  // a copy each call could fill the memory
        else
            in_.fail("its pickle calls what is no description of a tensor; it was not run");
    }

    void append(std::vector<std::uint32_t> items, Kind kind) {
        PickleValue& to = top();
        if (to.kind != kind || (kind == Kind::Dictionary && items.size() % 2 != 0))
            in_.fail("the pickle adds to what is no container");
        to.items.insert(to.items.end(), items.begin(), items.end());
    }

    std::int64_t longInteger() {
        const auto length = in_.read<std::uint8_t>("a number of the pickle");
        if (length > 8) in_.fail("the pickle has a number of " + std::to_string(length) + " bytes");
        const std::string_view digits = text(length);
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < digits.size(); ++i)
            value |= std::uint64_t{static_cast<unsigned char>(digits[i])} << (8 * i);
        const bool negative =
            !digits.empty() && (static_cast<unsigned char>(digits.back()) & 0x80U) != 0;
        if (negative && length < 8) value |= ~std::uint64_t{0} << (8 * length);
        return static_cast<std::int64_t>(value);
    }

    void remember(std::uint32_t index) {
        top();
        memo_[index] = stack_.back();
    }
    void recall(std::uint32_t index) {
        const auto found = memo_.find(index);
        if (found == memo_.end()) in_.fail("the pickle recalls what it did not keep");
        stack_.push_back(found->second);
    }

    /// True at the end.
    bool step(std::uint8_t opcode) {
        constexpr const char* kWhat = "the pickle";
        switch (opcode) {
            case 0x80:  // PROTO
                if (in_.read<std::uint8_t>(kWhat) > 5) in_.fail("the pickle is of a newer version");
                return false;
            case '.':
                return true;
            case '(':
                marks_.push_back(stack_.size());
                return false;
            case 'N':
                push(Kind::None);
                return false;
            case 0x88:  // NEWTRUE
            case 0x89:
                push(Kind::Boolean, opcode == 0x88 ? 1 : 0);
                return false;
            case 'J':
                push(Kind::Integer, in_.read<std::int32_t>(kWhat));
                return false;
            case 'K':
                push(Kind::Integer, in_.read<std::uint8_t>(kWhat));
                return false;
            case 'M':
                push(Kind::Integer, in_.read<std::uint16_t>(kWhat));
                return false;
            case 0x8A:  // LONG1
                push(Kind::Integer, longInteger());
                return false;
            case 'G':
                in_.skip(8, kWhat);  // no value of a recording that is a real number is used
                push(Kind::Real);
                return false;
            case 'X':
                push({Kind::Text, 0, text(in_.read<std::uint32_t>(kWhat)), {}});
                return false;
            case 0x8C:  // SHORT_BINUNICODE
                push({Kind::Text, 0, text(in_.read<std::uint8_t>(kWhat)), {}});
                return false;
            default:
                return container(opcode);
        }
    }

    bool container(std::uint8_t opcode) {
        constexpr const char* kWhat = "the pickle";
        switch (opcode) {
            case ')':
                push(Kind::Tuple);
                return false;
            case 0x85:  // TUPLE1
            case 0x86:
            case 0x87:
                push({Kind::Tuple, 0, {}, popCount(opcode - 0x84U)});
                return false;
            case 't':
                push({Kind::Tuple, 0, {}, popToMark()});
                return false;
            case ']':
                push(Kind::List);
                return false;
            case 'a':
                append(popCount(1), Kind::List);
                return false;
            case 'e':
                append(popToMark(), Kind::List);
                return false;
            case '}':
                push(Kind::Dictionary);
                return false;
            case 's':
                append(popCount(2), Kind::Dictionary);
                return false;
            case 'u':
                append(popToMark(), Kind::Dictionary);
                return false;
            case 'c':
                global();
                return false;
            case 'R':
                reduce();
                return false;
            case 'Q':
                push({Kind::Stored, 0, {}, popCount(1)});
                return false;
            case 'q':
                remember(in_.read<std::uint8_t>(kWhat));
                return false;
            case 'r':
                remember(in_.read<std::uint32_t>(kWhat));
                return false;
            case 'h':
                recall(in_.read<std::uint8_t>(kWhat));
                return false;
            case 'j':
                recall(in_.read<std::uint32_t>(kWhat));
                return false;
            default:
                in_.fail("its pickle has the opcode " + std::to_string(opcode) + " at byte " +
                         std::to_string(in_.position() - 1) +
                         ", which no dictionary of tensors needs; it was not run");
        }
    }

    std::span<const std::byte> bytes_;
    ByteCursor in_;
    Pickle pickle_;
    std::vector<std::uint32_t> stack_;  ///< indices of values
    std::vector<std::size_t> marks_;    ///< sizes of the stack
    std::map<std::uint32_t, std::uint32_t> memo_;
};

}  // namespace

Pickle readPickle(std::span<const std::byte> bytes, const std::string& origin) {
    return PickleReader(bytes, origin).read();
}

}  // namespace moescope
