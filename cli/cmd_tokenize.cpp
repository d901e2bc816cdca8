// SPDX-License-Identifier: Apache-2.0
// moescope tokenize: text to token ids and back, with a checkpoint's tokenizer or a file of its
// own.
#include <charconv>
#include <iostream>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/json_lines.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/formats/checkpoint.h"
#include "engine/run/model_names.h"
#include "engine/text/tokenizer.h"

namespace moescope::cli {
namespace {

/// Keeps the checkpoint that a tokenizer may point into.
struct LoadedTokenizer {
    std::unique_ptr<Checkpoint> checkpoint;
    std::unique_ptr<Tokenizer> tokenizer;
};

LoadedTokenizer load(const Options& options) {
    LoadedTokenizer out;
    if (options.has("tokenizer")) {
        if (options.has("model")) throw UsageError("give a MODEL or --tokenizer, not both");
        const std::filesystem::path file = options.get<std::string>("tokenizer");
        if (file.extension() == ".tiktoken") {
            out.tokenizer = tokenizerFromTiktoken(file, options.get<std::string>("encoding"));
        } else {
            out.tokenizer = tokenizerFromJson(file);
        }
        return out;
    }
    if (!options.has("model")) throw UsageError("'tokenize' needs a MODEL or --tokenizer FILE");
    out.checkpoint =
        openModel(options.get<std::vector<std::string>>("model").front(), options.stop());
    out.tokenizer = tokenizerFromCheckpoint(*out.checkpoint);
    if (out.tokenizer == nullptr)
        throw Error(out.checkpoint->path().string() + ": carries no tokenizer");
    return out;
}

std::vector<TokenId> parseIds(const std::string& text) {
    std::vector<TokenId> ids;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at < end) {
        if (*at == ',' || *at == ' ' || *at == '\n' || *at == '\t' || *at == '[' || *at == ']') {
            ++at;
            continue;
        }
        TokenId id = 0;
        const auto [next, error] = std::from_chars(at, end, id);
        if (error != std::errc{})
            throw UsageError("--decode takes token ids separated by commas, not '" + text + "'");
        ids.push_back(id);
        at = next;
    }
    return ids;
}

nlohmann::json encodeOne(const Tokenizer& tokenizer, const std::string& text,
                         SpecialTokens specials) {
    const std::vector<TokenId> ids = tokenizer.encode(text, specials);
    nlohmann::json pieces = nlohmann::json::array();
    for (const TokenId id : ids) pieces.push_back(toValidUtf8(tokenizer.bytes(id)));
    return {{"tokens", ids}, {"pieces", std::move(pieces)}};
}

}  // namespace

int runTokenize(const Invocation& invocation) {
    Options options("tokenize");
    options.positional("model", 1, "a checkpoint that carries a tokenizer", true);
    options.add("tokenizer", po::value<std::string>()->value_name("FILE"),
                "tokenizer.json or ranks.tiktoken");
    options.add("encoding",
                po::value<std::string>()->default_value("o200k_harmony")->value_name("NAME"),
                "for .tiktoken files: o200k_harmony, o200k_base, gpt2");
    options.add("text", po::value<std::string>()->value_name("TEXT"), "the text");
    options.add("input", po::value<std::string>()->value_name("F.jsonl"),
                "one {\"id\", \"text\" or (--decode) \"tokens\", optional \"group\"} a line");
    options.flag("special", "recognise special tokens in the text (never for text from users)");
    options.flag("decode", "the text is a list of token ids: print what they spell");
    options.flag("json", "print one JSON document");
    if (!options.parse(invocation)) return kDone;
    if (options.has("text") == options.has("input"))
        throw UsageError("'tokenize' needs either --text or --input");

    const LoadedTokenizer loaded = load(options);
    const Tokenizer& tokenizer = *loaded.tokenizer;
    const SpecialTokens specials =
        options.isSet("special") ? SpecialTokens::Parse : SpecialTokens::AsText;
    if (options.has("input")) {
        readJsonLines(options.get<std::string>("input"), {"id", "group", "text", "tokens"},
                      [&](const JsonLine& line, std::size_t) {
                          nlohmann::json out;
                          for (const char* key : {"id", "group"})
                              if (line.contains(key)) out[key] = line.at(key);
                          if (options.isSet("decode"))
                              out["text"] =
                                  toValidUtf8(tokenizer.decode(tokensField(line, "tokens")));
                          else
                              out["tokens"] = tokenizer.encode(textField(line, "text"), specials);
                          std::cout << dumpJson(out) << '\n';
                      });
        return kDone;
    }
    const auto text = options.get<std::string>("text");
    if (options.isSet("decode")) {
        const std::string decoded = tokenizer.decode(parseIds(text));
        if (options.isSet("json"))
            printJson("tokenize", {{"text", toValidUtf8(decoded)}});
        else
            std::cout << shownOn(stdout, decoded) << '\n';
        return kDone;
    }
    const nlohmann::json encoded = encodeOne(tokenizer, text, specials);
    if (options.isSet("json")) {
        printJson("tokenize", encoded);
    } else {
        TextTable table({"id", "piece"});
        for (std::size_t i = 0; i < encoded["tokens"].size(); ++i) {
            table.row(
                {std::to_string(encoded["tokens"][i].get<TokenId>()), encoded["pieces"][i].dump()});
        }
        std::cout << table.text();
    }
    return kDone;
}

}  // namespace moescope::cli
