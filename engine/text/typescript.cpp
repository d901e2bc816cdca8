// SPDX-License-Identifier: Apache-2.0
#include "engine/text/typescript.h"

#include <algorithm>
#include <vector>

namespace moescope::text {
namespace {

using Json = nlohmann::ordered_json;

const Json* member(const Json& schema, const char* key) {
    if (!schema.is_object()) return nullptr;
    const auto it = schema.find(key);
    return it == schema.end() ? nullptr : &*it;
}

const std::string* text(const Json& schema, const char* key) {
    const Json* value = member(schema, key);
    return value == nullptr ? nullptr : value->get_ptr<const std::string*>();
}

const Json* array(const Json& schema, const char* key) {
    const Json* value = member(schema, key);
    return value != nullptr && value->is_array() ? value : nullptr;
}

bool isEnum(const Json& schema) {
    const Json* values = array(schema, "enum");
    return values != nullptr && !values->empty();
}

std::string plainJson(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// "default: x", strings in quotes but without escapes; those of an enum bare.
std::string defaultNote(const Json& schema, bool bareEnums) {
    const Json* value = member(schema, "default");
    if (value == nullptr) return {};
    if (!value->is_string()) return "default: " + plainJson(*value);
    if (isEnum(schema))
        return "default: " + (bareEnums ? value->get<std::string>() : plainJson(*value));
    return "default: \"" + value->get<std::string>() + "\"";
}

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
    std::string out;
    for (const std::string& part : parts) out += (out.empty() ? "" : between) + part;
    return out;
}

std::string nullable(const Json& schema, const std::string& indent) {
    std::string type = typescriptType(schema, indent);
    const Json* flag = member(schema, "nullable");
    const bool missing = flag != nullptr && flag->is_boolean() && flag->get<bool>() &&
                         type.find("null") == std::string::npos;
    return missing ? type + " | null" : type;
}

std::string stringType(const Json& schema) {
    std::vector<std::string> values;
    if (const Json* list = array(schema, "enum")) {
        for (const Json& value : *list)
            if (value.is_string()) values.push_back("\"" + value.get<std::string>() + "\"");
    }
    return values.empty() ? "string" : joined(values, " | ");
}

/// A property that may have one of several types: one line each.
std::string oneOfProperty(const Json& schema, const Json& variants, const std::string& name,
                          const std::string& indent) {
    const std::string* description = text(schema, "description");
    const std::string* firstDescription =
        variants.empty() ? nullptr : text(variants.front(), "description");
    const bool repeated =
        description != nullptr && firstDescription != nullptr && *description == *firstDescription;
    const bool above = description != nullptr && !repeated;
    std::string out;
    if (above) out += indent + "// " + *description + "\n";
    if (const std::string note = defaultNote(schema, true); !note.empty())
        out += indent + "// " + note + "\n";
    out += indent + name + ":\n";
    for (std::size_t i = 0; i < variants.size(); ++i) {
        const Json& variant = variants[i];
        out += indent + " | " + nullable(variant, indent + "   ");
        std::vector<std::string> notes;
        const std::string* own = text(variant, "description");
        if (own != nullptr && !(i == 0 && above) &&
            (description == nullptr || *own != *description))
            notes.push_back(*own);
        if (std::string note = defaultNote(variant, true); !note.empty())
            notes.push_back(std::move(note));
        if (!notes.empty()) out += " // " + joined(notes, " ");
        out += "\n";
    }
    return out + indent + ",\n";
}

std::string property(const std::string& key, const Json& schema, bool required,
                     const std::string& indent) {
    std::string out;
    if (const std::string* title = text(schema, "title"))
        out += indent + "// " + *title + "\n" + indent + "//\n";
    const std::string* description = text(schema, "description");
    if (description != nullptr && member(schema, "oneOf") == nullptr)
        out += indent + "// " + *description + "\n";
    if (const Json* examples = array(schema, "examples");
        examples != nullptr && !examples->empty()) {
        out += indent + "// Examples:\n";
        for (const Json& example : *examples)
            if (example.is_string())
                out += indent + "// - \"" + example.get<std::string>() + "\"\n";
    }
    const std::string name = key + (required ? "" : "?");
    if (const Json* variants = array(schema, "oneOf"))
        return out + oneOfProperty(schema, *variants, name, indent);
    out += indent + name + ": " + nullable(schema, indent + "    ") + ",";
    const std::string note =
        member(schema, "oneOf") == nullptr ? defaultNote(schema, true) : std::string();
    if (!note.empty()) out += " // " + note;
    return out + "\n";
}

std::string objectType(const Json& schema, const std::string& indent) {
    std::string out;
    if (const std::string* description = text(schema, "description"))
        out += indent + "// " + *description + "\n";
    out += "{\n";
    const Json* properties = member(schema, "properties");
    const Json* required = array(schema, "required");
    if (properties != nullptr && properties->is_object()) {
        for (const auto& [key, value] : properties->items()) {
            const bool needed = required != nullptr && std::find(required->begin(), required->end(),
                                                                 Json(key)) != required->end();
            out += property(key, value, needed, indent);
        }
    }
    return out + indent + "}";
}

std::string oneOfType(const Json& variants, const std::string& indent) {
    std::string out;
    for (const Json& variant : variants) {
        out += "\n" + indent + " | " + nullable(variant, indent + "   ");
        std::vector<std::string> notes;
        if (const std::string* description = text(variant, "description"))
            notes.push_back(*description);
        if (std::string note = defaultNote(variant, false); !note.empty())
            notes.push_back(std::move(note));
        if (!notes.empty()) out += " // " + joined(notes, " ");
    }
    return out;
}

}  // namespace

std::string typescriptType(const Json& schema, const std::string& indent) {
    if (const Json* variants = array(schema, "oneOf")) return oneOfType(*variants, indent);
    if (const Json* types = array(schema, "type")) {
        std::vector<std::string> names;
        for (const Json& type : *types) {
            if (!type.is_string()) continue;
            names.push_back(type == "integer" ? "number" : type.get<std::string>());
        }
        if (!names.empty()) return joined(names, " | ");
    }
    const std::string* type = text(schema, "type");
    if (type == nullptr) return "any";
    if (*type == "object") return objectType(schema, indent);
    if (*type == "string") return stringType(schema);
    if (*type == "number" || *type == "integer") return "number";
    if (*type == "boolean") return "boolean";
    if (*type == "array") {
        const Json* items = member(schema, "items");
        return items == nullptr ? "Array<any>" : typescriptType(*items, indent) + "[]";
    }
    return "any";
}

}  // namespace moescope::text
