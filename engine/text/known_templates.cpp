// SPDX-License-Identifier: Apache-2.0
#include "engine/text/known_templates.h"

#include <array>

#include "engine/core/sha256.h"
#include "engine/text/chat.h"

namespace moescope {
namespace {

bool isBlank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

}  // namespace

std::string canonicalTemplate(std::string_view source) {
    std::string out;
    char closer = 0;     // of the tag we are in: }} or %} or #}
    char quote = 0;      // of the string we are in
    bool strip = false;  // the tag before ended with a dash
    for (std::size_t i = 0; i < source.size();) {
        const std::string_view rest = source.substr(i);
        const char c = rest[0];
        const char next = rest.size() > 1 ? rest[1] : '\0';
        std::size_t taken = 1;
        if (quote != 0) {
            if (c == '\\' && next != '\0') taken = 2;
            if (c == quote) quote = 0;
            if (c == '\\' && next == 'n')
                out += '\n';
            else
                out += rest.substr(0, taken);
        } else if (closer != 0) {
            if (c == closer && next == '}') {
                strip = out.back() == '-';
                closer = 0;
                taken = 2;
            } else if (closer != '#' && (c == '\'' || c == '"')) {
                quote = c;
            }
            out += rest.substr(0, taken);
        } else if (c == '{' && (next == '{' || next == '%' || next == '#')) {
            if (rest.size() > 2 && rest[2] == '-')
                while (!out.empty() && isBlank(out.back())) out.pop_back();
            closer = next == '{' ? '}' : next;
            taken = 2;
            strip = false;
            out += rest.substr(0, taken);
        } else if (!strip || !isBlank(c)) {
            strip = false;
            out += c;
        }
        i += taken;
    }
    if (closer == 0 && out.ends_with('\n')) out.pop_back();  // as Jinja does
    return out;
}

namespace text {
namespace {

struct Known {
    std::string_view sha256;  ///< of canonicalTemplate(source)
    std::string_view format;
};

// The texts and where they come from: tests/golden/data/chat/templates.
constexpr std::array kKnown = {
    Known{"58c1a1f04baa7adaeaba1f90267c3d57d9396f0c1f0129bdde9e76d3c6784af7", "chatml"},
    Known{"153280e3ff55d19da1398bdb3914ee2a51b80429bfaedde11d7d216c39db80f3", "chatml"},
    Known{"b9d313bf560fc47731a1538211a7e0206218249cd3f649f266b25531cd5120ca", "gemma3"},
    Known{"7812c0a15676c0e9a1fa6b9542f379bfb618f44e0942a1b2e778f3dbc07dbf10", "mistral"},
    Known{"7e995b379ec01747807246483647cd99030abf331653f1119e16d7ac041a3495", "mistral-7b-v0.1"},
    Known{"26a59556925c987317ce5291811ba3b7f32ec4c647c400c6cc7e3a9993007ba7", "mistral-plain"},
    Known{"fe689ffbd6a4e2d0532d7480696b065b10e0e1eff3f9b9fc4bea415761e4bf4a", "olmo2"},
    Known{"6d549883b5ed12879e191845c256a30c7dfd4eced0a4f160060a3ea0199d9e3a", "olmo3-think"},
    Known{"597a300d55969f31a3f3df611a7eef467390ebdf582ecf02ffe1d9b14978e52a", "olmo3"},
    Known{"793202280c0910ab26bc6eb57c8212c2417324c6d8c4efd0d10d59092ab3e3eb", "qwen2"},
    Known{"3b671eded66c62c46a9f8ac7f1c5726a5b2ad801c8ef65264c46759681149d60", "qwen2.5"},
    Known{"777d5d67599bb65b2670cb9a789d4b3c418f4d351a6fa475b5d2a8318eaed8a3", "qwen3"},
    Known{"872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788", "smollm"},
    Known{"ac7498a36a719da630e99d48e6ebc4409de85a77556c2b6159eeb735bcbd11df", "tulu"},
};

struct Family {
    std::string_view mark, name;
};

// The first mark that a template has decides, so the particular ones come first.
constexpr std::array kFamilies = {
    Family{"<|start_header_id|>", "Llama 3"},
    Family{"<|header_start|>", "Llama 4"},
    Family{"[SYSTEM_PROMPT]", "Mistral"},
    Family{"[INST]", "Llama 2 or Mistral"},
    Family{"<\xEF\xBD\x9C"
           "Assistant",
           "DeepSeek"},
    Family{"<start_of_turn>", "Gemma"},
    Family{"<|im_start|>", "ChatML"},
    Family{"<|assistant|>", "Phi, Zephyr or Tulu"},
};

}  // namespace

std::string_view formatOfTemplate(std::string_view source) {
    const std::string hash = sha256Hex(canonicalTemplate(source));
    for (const Known& known : kKnown)
        if (known.sha256 == hash) return known.format;
    return {};
}

std::string_view templateFamily(std::string_view source) {
    for (const Family& family : kFamilies)
        if (source.find(family.mark) != std::string_view::npos) return family.name;
    return {};
}

}  // namespace text
}  // namespace moescope
