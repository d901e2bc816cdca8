# Compile flags of the per-instruction-set files; a file whose flags the compiler or the architecture
# lacks is compiled without them and then registers nothing.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  include(CheckCXXCompilerFlag)
  set(moescope_avx2_flags -mavx2 -mfma -mf16c)
  set(moescope_avx512_flags ${moescope_avx2_flags} -mavx512f -mavx512bw -mavx512vl -mavx512dq
      -mprefer-vector-width=512)
  set(moescope_avx512_vnni_flags ${moescope_avx512_flags} -mavx512vnni)
  set(moescope_avx512_bf16_flags ${moescope_avx512_vnni_flags} -mavx512bf16)
  check_cxx_compiler_flag(-mavx512bf16 MOESCOPE_HAVE_AVX512BF16)
  if(NOT MOESCOPE_HAVE_AVX512BF16)
    set(moescope_avx512_bf16_flags "")
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12's own AVX-512 headers trip these (bug 105593).
    foreach(target avx512 avx512_vnni avx512_bf16)
      list(APPEND moescope_${target}_flags -Wno-maybe-uninitialized -Wno-uninitialized)
    endforeach()
  endif()
  foreach(target avx2 avx512 avx512_vnni avx512_bf16)
    if(MOESCOPE_FUZZ)
      # Fuzzers feed readers; with sanitizers each of these files takes minutes to compile.
      list(APPEND moescope_${target}_flags -fno-sanitize=all)
    endif()
    set_source_files_properties(${CMAKE_CURRENT_SOURCE_DIR}/backend/cpu/kernels_${target}.cpp
      PROPERTIES COMPILE_OPTIONS "${moescope_${target}_flags}")
  endforeach()
endif()
