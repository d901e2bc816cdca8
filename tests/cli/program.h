// SPDX-License-Identifier: Apache-2.0
// Runs the real program as a child process, as a user's shell does.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace moescope::test {

namespace fs = std::filesystem;

inline std::string contentOf(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// A folder of this test's own, removed at its end.
class Folder {
public:
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "moescope-cli-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }

private:
    fs::path path_;
};

struct Outcome {
    int code = -1;  ///< exit code, or 128 + the signal's number
    std::string out, err;
};

/// A child that writes into files, so that no pipe can fill up and block it.
class Child {
public:
    explicit Child(const std::vector<std::string>& arguments, const std::string& out = {}) {
        const std::string target = out.empty() ? folder_ / "out" : out;
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&actions, 1, target.c_str(),
                                         O_WRONLY | (out.empty() ? O_CREAT : 0), 0600);
        posix_spawn_file_actions_addopen(&actions, 2, (folder_ / "err").c_str(), O_WRONLY | O_CREAT,
                                         0600);
        std::vector<std::string> words{MOESCOPE_BINARY};
        words.insert(words.end(), arguments.begin(), arguments.end());
        std::vector<char*> pointers;
        for (std::string& word : words) pointers.push_back(word.data());
        pointers.push_back(nullptr);
        const int failed =
            ::posix_spawn(&pid_, MOESCOPE_BINARY, &actions, nullptr, pointers.data(), environ);
        posix_spawn_file_actions_destroy(&actions);
        REQUIRE(failed == 0);
    }

    /// Waits until what the child says contains `text`: it is in the middle of its work.
    void waitFor(const std::string& text) const {
        for (int i = 0; i < 1000; ++i) {
            if (contentOf(folder_ / "err").find(text) != std::string::npos) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        FAIL("the program never said " << text);
    }
    void kill(int signal) const { ::kill(pid_, signal); }

    Outcome wait() {
        int status = 0;
        REQUIRE(::waitpid(pid_, &status, 0) == pid_);
        return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                contentOf(folder_ / "out"), contentOf(folder_ / "err")};
    }

private:
    Folder folder_;
    pid_t pid_ = -1;
};

inline Outcome run(const std::vector<std::string>& arguments, const std::string& out = {}) {
    return Child(arguments, out).wait();
}

/// How often "error: " begins a line: every failure is one sentence.
inline int errorLines(const std::string& text) {
    int count = 0;
    for (std::size_t at = 0; (at = text.find("error: ", at)) != std::string::npos; ++at)
        count += at == 0 || text[at - 1] == '\n' ? 1 : 0;
    return count;
}

}  // namespace moescope::test
