# The commands of the README. The build itself is CMake's; see CMakePresets.json for other builds.
BUILD ?= build
JOBS  ?= $(shell nproc)

.PHONY: all deps demo test gpu-check fuzz lint install clean

all: $(BUILD)/build.ninja
	cmake --build $(BUILD) --parallel $(JOBS)

$(BUILD)/build.ninja: | deps
	cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release

deps:
	scripts/install-deps

# Builds what the main job needs, runs it on the embedded demo model, prints a summary.
demo: $(BUILD)/build.ninja
	cmake --build $(BUILD) --parallel $(JOBS) --target demo_programs
	scripts/demo $(BUILD)/bin

test: all
	QT_QPA_PLATFORM=offscreen ctest --test-dir $(BUILD) --parallel $(JOBS) --output-on-failure -LE slow

# On a machine with a GPU: builds with the CUDA back end, runs its tests and the profiler's checks.
gpu-check:
	cmake --preset cuda -DMOESCOPE_GUI=OFF
	cmake --build build-cuda --parallel $(JOBS) --target moescope test_cuda test_gpu
	scripts/gpu-check --bin build-cuda/bin

# 60 seconds for each libFuzzer target.
fuzz:
	scripts/fuzz 60

lint:
	scripts/lint

install: all
	cmake --install $(BUILD)

clean:
	rm -rf $(BUILD)
