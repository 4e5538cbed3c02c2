#pragma once
#include <cstdio>
#include <cstdlib>

/// Ends the test program with the place and the expression when it does not hold.
#define CHECK(x)                                                          \
  do {                                                                    \
    if (!(x)) {                                                           \
      std::fprintf(stderr, "%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #x); \
      std::exit(1);                                                       \
    }                                                                     \
  } while (0)

/// Prints one line per named test, which the npm test run counts, and runs it.
#define RUN(test)                  \
  do {                             \
    test();                        \
    std::printf("ok %s\n", #test); \
  } while (0)
