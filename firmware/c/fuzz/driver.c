/* A fuzzer's main program for compilers that bring none.

     FUZZER --seconds N [--seed N]    mutate, keep what reaches something new, and say what was done
     FUZZER FILE...                   run these inputs; - is standard input (for AFL: FUZZER @@)

   The compiler calls __sanitizer_cov_trace_pc in each basic block (-fsanitize-coverage=trace-pc). With one seed the inputs tried are the same on
   each run; how many there are depends on the time. An input that fails lies in crash-NAME in the current folder. */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_cov_trace_pc(void);
void __sanitizer_set_death_callback(void (*callback)(void));

enum { MOST = 2048, KEPT = 1 << 13, EDGES = 1 << 16, PATIENCE_S = 20 };

static uint8_t hits[EDGES], seen[EDGES];
static uintptr_t last;
static uint8_t input[MOST];
static size_t input_size;
static const char *program = "fuzzer";
static struct {
    uint8_t *data;
    size_t size;
} kept[KEPT];
static size_t kept_count, edges;
static uint64_t state;

void __sanitizer_cov_trace_pc(void)
{
    /* Places relative to the program, which lies elsewhere on each run. */
    const uintptr_t here = (uintptr_t)__builtin_return_address(0) - (uintptr_t)&LLVMFuzzerTestOneInput;
    uint8_t *count = &hits[((here * 0x9E3779B1u) >> 8 ^ last) % EDGES];
    *count = (uint8_t)(*count + (*count != 255));
    last = here >> 1;
}

static void keep_crash(void)
{
    char name[256];
    const char *base = strrchr(program, '/');
    (void)snprintf(name, sizeof name, "crash-%s", base ? base + 1 : program);
    FILE *file = fopen(name, "wb");
    if (!file)
        return;
    (void)fwrite(input, 1, input_size, file);
    (void)fclose(file);
    fprintf(stderr, "%s: the input of %zu bytes that failed is in %s\n", program, input_size, name);
}

static void stuck(int number)
{
    fprintf(stderr, "%s: %s\n", program, number == SIGALRM ? "an input takes for ever" : "aborted");
    keep_crash();
    _exit(1);
}

static uint64_t chance(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1DULL >> 16;
}

static size_t below(size_t limit)
{
    return limit ? (size_t)(chance() % limit) : 0;
}

static void mutate(void)
{
    static const uint8_t special[] = {0, 1, 2, 4, 8, 16, 32, 64, 127, 128, 129, 254, 255};
    const size_t at = below(input_size), room = MOST - input_size;
    size_t count = 1 + below(chance() % 4 ? 4 : 64);
    switch (chance() % 8) {
    case 0:
        if (input_size)
            input[at] ^= (uint8_t)(1u << chance() % 8);
        break;
    case 1:
        if (input_size)
            input[at] = (uint8_t)chance();
        break;
    case 2:
        if (input_size)
            input[at] = special[below(sizeof special)];
        break;
    case 3:
        if (input_size)
            input[at] = (uint8_t)(input[at] + 1 + below(16) - 8);
        break;
    case 4: /* insert */
        count = count < room ? count : room;
        memmove(input + at + count, input + at, input_size - at);
        for (size_t k = 0; k < count; k++)
            input[at + k] = (uint8_t)chance();
        input_size += count;
        break;
    case 5: /* delete */
        count = count < input_size - at ? count : input_size - at;
        memmove(input + at, input + at + count, input_size - at - count);
        input_size -= count;
        break;
    case 6: { /* repeat a part elsewhere */
        const size_t from = below(input_size);
        count = count < room ? count : room;
        count = count < input_size - from ? count : input_size - from;
        uint8_t part[64];
        memcpy(part, input + from, count);
        memmove(input + at + count, input + at, input_size - at);
        memcpy(input + at, part, count);
        input_size += count;
        break;
    }
    default: { /* the end of another one */
        const size_t other = below(kept_count), from = below(kept[other].size);
        count = kept[other].size - from;
        count = count < MOST - at ? count : MOST - at;
        memcpy(input + at, kept[other].data + from, count);
        input_size = at + count;
    }
    }
}

/* Whether the last input reached what none before did, or so many times as none did. */
static bool news(void)
{
    bool found = false;
    for (size_t k = 0; k < EDGES; k++) {
        if (!hits[k])
            continue;
        const unsigned h = hits[k];
        const uint8_t bucket = (uint8_t)(h < 4 ? h : h < 8 ? 8 : h < 32 ? 16 : h < 128 ? 32 : 64);
        if (!seen[k])
            edges++;
        if (bucket & ~seen[k])
            found = true;
        seen[k] |= bucket;
    }
    return found;
}

static void run(void)
{
    memset(hits, 0, sizeof hits);
    last = 0;
    (void)alarm(PATIENCE_S);
    (void)LLVMFuzzerTestOneInput(input, input_size);
    if (news() && kept_count < KEPT) {
        kept[kept_count].data = malloc(input_size + 1);
        if (!kept[kept_count].data)
            exit(2);
        memcpy(kept[kept_count].data, input, input_size);
        kept[kept_count++].size = input_size;
    }
}

static int replay(const char *name)
{
    FILE *file = strcmp(name, "-") ? fopen(name, "rb") : stdin;
    if (!file) {
        perror(name);
        return 2;
    }
    input_size = fread(input, 1, sizeof input, file);
    if (file != stdin)
        (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(input, input_size);
    return 0;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    double seconds = 0;
    uint64_t seed = 1, executions = 0;
    program = argv[0];
    (void)signal(SIGALRM, stuck);
    (void)signal(SIGABRT, stuck);
    __sanitizer_set_death_callback(keep_crash);
    for (int k = 1; k < argc; k++) {
        if (!strcmp(argv[k], "--seconds") && k + 1 < argc)
            seconds = atof(argv[++k]);
        else if (!strcmp(argv[k], "--seed") && k + 1 < argc)
            seed = strtoull(argv[++k], NULL, 10);
        else if (replay(argv[k]))
            return 2;
    }
    if (seconds <= 0)
        return argc < 2 ? 2 : 0;
    state = seed * 0x9E3779B97F4A7C15ULL + 1;
    const double begun = now();
    for (size_t size = 0; size < MOST; size = size * 2 + 1) {
        for (size_t k = 0; k < size; k++)
            input[k] = (uint8_t)chance();
        input_size = size;
        run();
        executions++;
    }
    while (now() - begun < seconds) {
        const size_t from = below(kept_count);
        memcpy(input, kept[from].data, kept[from].size);
        input_size = kept[from].size;
        for (size_t times = 1 + below(6); times; times--)
            mutate();
        run();
        executions++;
    }
    (void)alarm(0);
    const char *base = strrchr(program, '/');
    printf("%s: %llu executions in %.0f s, %zu edges, %zu inputs kept, 0 crashes\n", base ? base + 1 : program,
           (unsigned long long)executions, now() - begun, edges, kept_count);
    for (size_t k = 0; k < kept_count; k++)
        free(kept[k].data);
    return 0;
}
