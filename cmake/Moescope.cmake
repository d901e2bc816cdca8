# Helpers shared by every module. Sources are globbed (CONFIGURE_DEPENDS) so that "a new suite, view
# or kernel is one file and one line in a table" holds for the build as well.

add_library(moescope_options INTERFACE)
target_include_directories(moescope_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(moescope_options INTERFACE
                       $<$<COMPILE_LANGUAGE:CXX>:-Wall> $<$<COMPILE_LANGUAGE:CXX>:-Wextra>
                       $<$<COMPILE_LANGUAGE:CXX>:-Wpedantic>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 reports overlaps of 2^63 bytes inside std::string operations at -O3 (GCC bug 105651).
  target_compile_options(moescope_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(MOESCOPE_WERROR)
  target_compile_options(moescope_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(MOESCOPE_SANITIZE)
  target_compile_options(moescope_options INTERFACE -fsanitize=${MOESCOPE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(moescope_options INTERFACE -fsanitize=${MOESCOPE_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # With ASan g++ 12 finds the insides of std::regex uninitialised, in Catch too (GCC bug 105562),
    # with TSan a vector's insert past its end.
    target_compile_options(moescope_options INTERFACE -Wno-maybe-uninitialized -Wno-stringop-overflow)
  endif()
endif()
if(MOESCOPE_FUZZ)
  target_compile_options(moescope_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(moescope_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# moescope_library(NAME FOLDERS a b DEPENDS x y): static library of the .cpp files in those folders
# (not recursive: each folder is named once).
function(moescope_library name)
  cmake_parse_arguments(ARG "" "" "FOLDERS;DEPENDS" ${ARGN})
  set(sources)
  foreach(folder IN LISTS ARG_FOLDERS)
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp
         ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.h)
    list(APPEND sources ${found})
  endforeach()
  add_library(${name} STATIC ${sources})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(${name} PUBLIC moescope_options ${ARG_DEPENDS})
endfunction()

# moescope_test(MODULE DEPENDS ...): one Catch2 executable of tests/<module>/test_*.cpp, each case a
# ctest test named <module>.<case>. Cases tagged [slow] get the ctest label `slow`.
function(moescope_test module)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${module}/test_*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${module} ${sources})
  target_link_libraries(test_${module} PRIVATE moescope_catch_main ${ARG_DEPENDS})
  target_compile_definitions(test_${module} PRIVATE
    MOESCOPE_SOURCE_DIR="${CMAKE_SOURCE_DIR}" MOESCOPE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  catch_discover_tests(test_${module} TEST_SPEC "~[slow]" TEST_PREFIX "${module}."
                       PROPERTIES TIMEOUT 300)
  foreach(source IN LISTS sources)
    file(STRINGS ${source} found REGEX "^TEST_CASE.*\\[slow\\]")
    list(APPEND slow ${found})
  endforeach()
  if(slow)
    catch_discover_tests(test_${module} TEST_SPEC "[slow]" TEST_PREFIX "${module}."
                         PROPERTIES TIMEOUT 900 LABELS slow)
  endif()
endfunction()
