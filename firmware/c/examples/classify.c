/* Classifies files of images on a board.

     classify PORT [--baud N] [--timeout MS] [--design HEX] [--batch N] [--statistics] [--input FILE]... [--output FILE]...
              [--expect FILE]... [--weights FILE]

   A file has the integers of a tensor [images, height, width, channels] one after another, each in as few bytes (1, 2, 4 or 8, little-endian)
   as its type needs: what NumPy's tofile writes of an array of that type. One --input for each input of the network, in order; likewise
   --output, which takes the results, and --expect, which they are compared with. Without --output the class of each image is printed, a
   number a line: the index of the greatest integer of the first output. --batch is how many images are given at once (64).

   --weights: the weights.bin of a design with writable weights, loaded where the board has others.

   Returns 0 when all went well, 1 if a result differs from the expected one, 2 for wrong arguments, 3 if board or port failed. */
#include "pulsefold_posix.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name;
    FILE *file;
} stream;

typedef struct {
    stream inputs[PF_TENSORS], outputs[PF_TENSORS], expected[PF_TENSORS];
    unsigned input_count, output_count, expected_count;
    const char *path, *weights;
    uint32_t baud, timeout;
    size_t batch;
    uint8_t design[16];
    bool named, statistics;
} job;

/* The example's arrays are the heap's; the library has none of its own. */
typedef struct {
    uint8_t *packed[PF_TENSORS], *wanted[PF_TENSORS], *file[PF_TENSORS];
} arrays;

static int fail(int code, const char *what, const char *why)
{
    fprintf(stderr, "error: %s: %s\n", what, why);
    return code;
}

/* Bytes of an element in a file. */
static size_t file_bytes(const pf_tensor *tensor)
{
    const unsigned bits = tensor->kind == PF_BIPOLAR ? 2u : tensor->bits;
    return bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8;
}

static bool from_file(const pf_tensor *tensor, const uint8_t *file, size_t images, uint8_t *packed)
{
    const size_t size = file_bytes(tensor);
    memset(packed, 0, images * tensor->image_bytes);
    for (size_t image = 0; image < images; image++, packed += tensor->image_bytes) {
        for (size_t n = 0; n < tensor->elements; n++, file += size) {
            uint64_t pattern = tensor->kind != PF_UNSIGNED && file[size - 1] & 0x80 ? UINT64_MAX : 0;
            for (size_t k = size; k-- > 0;)
                pattern = pattern << 8 | file[k];
            const int64_t value = pattern >> 63 ? -1 - (int64_t)~pattern : (int64_t)pattern;
            if (!pf_fits(tensor, value))
                return false;
            pf_set(tensor, packed, n, value);
        }
    }
    return true;
}

static void to_file(const pf_tensor *tensor, const uint8_t *packed, size_t images, uint8_t *file)
{
    const size_t size = file_bytes(tensor);
    for (size_t image = 0; image < images; image++, packed += tensor->image_bytes) {
        for (size_t n = 0; n < tensor->elements; n++) {
            const uint64_t value = (uint64_t)pf_get(tensor, packed, n);
            for (size_t k = 0; k < size; k++)
                *file++ = (uint8_t)(value >> 8 * k);
        }
    }
}

/* Up to `images` whole images of a file into bytes of the link; how many, or -1. */
static long next_images(stream *from, const pf_tensor *tensor, size_t images, uint8_t *file, uint8_t *packed)
{
    const size_t each = tensor->elements * file_bytes(tensor);
    const size_t got = fread(file, 1, images * each, from->file);
    if (ferror(from->file) || got % each)
        return fail(-1, from->name, ferror(from->file) ? strerror(errno) : "ends in the middle of an image");
    if (!from_file(tensor, file, got / each, packed))
        return fail(-1, from->name, "has a value that does not fit the tensor");
    return (long)(got / each);
}

static int report(pf_error error, const char *what)
{
    return error ? fail(error == PF_DIFFERS ? 1 : error == PF_ARGUMENT ? 2 : 3, what, pf_message(error)) : 0;
}

/* One batch; `taken` is set to its images, and 0 of them end it all. */
static int batch(job *j, pf_board *board, const arrays *a, size_t begun, size_t *taken)
{
    const uint8_t outputs = board->hello.outputs, inputs = board->hello.inputs;
    pf_mismatch first;
    long images = 0;
    for (uint8_t k = 0; k < inputs; k++) {
        const long got = next_images(&j->inputs[k], pf_input(board, k), j->batch, a->file[k], a->packed[k]);
        if (got < 0)
            return 2;
        if (k && got != images)
            return fail(2, j->inputs[k].name, "has another number of images than the first");
        images = got;
    }
    *taken = (size_t)images;
    for (uint8_t k = 0; j->expected_count && k < outputs; k++) {
        const long got = next_images(&j->expected[k], pf_output(board, k), *taken, a->file[inputs + k], a->wanted[k]);
        if (got != images)
            return got < 0 ? 2 : fail(2, j->expected[k].name, "has fewer images than the input");
    }
    const uint8_t *const *given = (const uint8_t *const *)a->packed;
    uint8_t *const *results = a->packed + inputs;
    const pf_error error = j->expected_count ? pf_selftest(board, *taken, given, (const uint8_t *const *)a->wanted, results, &first)
                                             : pf_infer(board, *taken, given, results);
    if (error == PF_DIFFERS)
        fprintf(stderr, "image %zu, output %u, element %zu: %" PRId64 " from the board, %" PRId64 " expected\n",
                begun + first.image, (unsigned)first.output, first.element, first.board, first.expected);
    if (error)
        return report(error, j->path);
    for (uint8_t k = 0; k < j->output_count; k++) {
        const pf_tensor *tensor = pf_output(board, k);
        const size_t size = *taken * tensor->elements * file_bytes(tensor);
        to_file(tensor, results[k], *taken, a->file[inputs + k]);
        if (fwrite(a->file[inputs + k], 1, size, j->outputs[k].file) != size)
            return fail(2, j->outputs[k].name, strerror(errno));
    }
    for (size_t n = 0; !j->output_count && n < *taken; n++)
        printf("%zu\n", pf_best(pf_output(board, 0), results[0] + n * pf_output(board, 0)->image_bytes));
    return 0;
}

static int tell(pf_board *board, size_t images)
{
    pf_figures f;
    const pf_error error = pf_statistics(board, &f);
    if (error)
        return report(error, "statistics");
    fprintf(stderr, "%zu images, %" PRIu32 " frames sent again, results asked for again %" PRIu32 " times, %" PRIu32 " bad frames\n",
            images, f.resent, f.asked_again, f.bad);
    if (f.counted)
        fprintf(stderr,
                "board: %" PRIu32 " cycles, %" PRIu32 " waiting for input, %" PRIu32 " not taking input, %" PRIu32
                " waiting for the link, %" PRIu32 " bad frames\n",
                f.cycles, f.waiting_for_input, f.not_taking_input, f.waiting_for_link, f.bad_frames);
    for (uint8_t unit = 0; unit < board->hello.units; unit++) {
        pf_unit_figures u;
        const pf_error wrong = pf_unit_statistics(board, unit, &u);
        if (wrong == PF_ABSENT)
            break;
        if (wrong)
            return report(wrong, "statistics");
        fprintf(stderr, "unit %u: %" PRIu32 " cycles, %" PRIu32 " busy, %" PRIu32 " starved, %" PRIu32 " stalled\n",
                (unsigned)unit, u.cycles, u.busy, u.starved, u.stalled);
    }
    return 0;
}

static int work(job *j, pf_board *board)
{
    arrays a = {{0}, {0}, {0}};
    const pf_hello *hello = &board->hello;
    const unsigned tensors = (unsigned)hello->inputs + hello->outputs;
    int code = 0;
    if (j->input_count != hello->inputs || (j->output_count && j->output_count != hello->outputs) ||
        (j->expected_count && j->expected_count != hello->outputs)) {
        fprintf(stderr, "error: the network has %u inputs and %u outputs\n", (unsigned)hello->inputs, (unsigned)hello->outputs);
        return 2;
    }
    for (unsigned k = 0; k < tensors; k++) {
        const pf_tensor *tensor = &hello->tensors[k];
        const size_t each = tensor->elements > SIZE_MAX / 8 ? SIZE_MAX : tensor->elements * file_bytes(tensor);
        const size_t most = each > tensor->image_bytes ? each : tensor->image_bytes;
        if (j->batch <= SIZE_MAX / most) {
            a.packed[k] = malloc(j->batch * tensor->image_bytes);
            a.file[k] = malloc(j->batch * each);
            if (k >= hello->inputs)
                a.wanted[k - hello->inputs] = malloc(j->batch * tensor->image_bytes);
        }
        if (!a.packed[k] || !a.file[k] || (k >= hello->inputs && !a.wanted[k - hello->inputs]))
            code = fail(2, "--batch", "no memory for so many images");
    }
    size_t images = 0, taken = 1;
    while (!code && taken) {
        code = batch(j, board, &a, images, &taken);
        images += taken;
    }
    if (!code && j->statistics)
        code = tell(board, images);
    for (unsigned k = 0; k < PF_TENSORS; k++) {
        free(a.packed[k]);
        free(a.wanted[k]);
        free(a.file[k]);
    }
    return code;
}

static int load(pf_board *board, const char *name)
{
    static uint8_t weights[16u << 20];
    FILE *file = fopen(name, "rb");
    if (!file)
        return fail(2, name, strerror(errno));
    const size_t size = fread(weights, 1, sizeof weights, file);
    const bool whole = !ferror(file) && fgetc(file) == EOF;
    fclose(file);
    return whole ? report(pf_load(board, weights, size), name) : fail(2, name, "cannot be read whole, or has more than 16 MiB");
}

static bool number(const char *text, uint32_t least, uint32_t most, uint32_t *value)
{
    char *end;
    errno = 0;
    const unsigned long long got = strtoull(text, &end, 10);
    *value = (uint32_t)got;
    return *text >= '0' && *text <= '9' && !*end && !errno && got >= least && got <= most;
}

static bool add(stream *streams, unsigned *count, const char *name)
{
    if (*count == PF_TENSORS)
        return false;
    streams[(*count)++].name = name;
    return true;
}

static bool hex(const char *text, uint8_t *bytes)
{
    for (unsigned k = 0; k < 16; k++, text += 2) {
        unsigned value;
        if (strspn(text, "0123456789abcdefABCDEF") < 2 || sscanf(text, "%2x", &value) != 1)
            return false;
        bytes[k] = (uint8_t)value;
    }
    return !*text;
}

static bool parse(int argc, char **argv, job *j)
{
    uint32_t batch_size = 64;
    bool good = argc >= 2;
    for (int k = 2; good && k < argc; k++) {
        const char *option = argv[k];
        if (!strcmp(option, "--statistics")) {
            j->statistics = true;
            continue;
        }
        if (++k == argc)
            return false;
        if (!strcmp(option, "--baud"))
            good = number(argv[k], 1, UINT32_MAX, &j->baud);
        else if (!strcmp(option, "--timeout"))
            good = number(argv[k], 1, INT32_MAX, &j->timeout);
        else if (!strcmp(option, "--batch"))
            good = number(argv[k], 1, 1u << 20, &batch_size);
        else if (!strcmp(option, "--design"))
            good = j->named = hex(argv[k], j->design);
        else if (!strcmp(option, "--weights"))
            j->weights = argv[k];
        else if (!strcmp(option, "--input"))
            good = add(j->inputs, &j->input_count, argv[k]);
        else if (!strcmp(option, "--output"))
            good = add(j->outputs, &j->output_count, argv[k]);
        else
            good = !strcmp(option, "--expect") && add(j->expected, &j->expected_count, argv[k]);
    }
    j->batch = batch_size;
    if (good)
        j->path = argv[1];
    return good;
}

static bool open_files(stream *streams, unsigned count, const char *mode)
{
    for (unsigned k = 0; k < count; k++) {
        streams[k].file = fopen(streams[k].name, mode);
        if (!streams[k].file)
            return fail(0, streams[k].name, strerror(errno));
    }
    return true;
}

static int close_files(stream *streams, unsigned count, int code)
{
    for (unsigned k = 0; k < count; k++) {
        if (streams[k].file && fclose(streams[k].file) && !code)
            code = fail(2, streams[k].name, strerror(errno));
    }
    return code;
}

int main(int argc, char **argv)
{
    static job j = {.baud = 1000000, .timeout = 5000};
    static pf_board board;
    pf_port port;
    int code = 2;
    if (!parse(argc, argv, &j)) {
        fprintf(stderr, "usage: classify PORT [--baud N] [--timeout MS] [--design HEX] [--batch N] [--statistics]\n"
                        "                [--input FILE]... [--output FILE]... [--expect FILE]... [--weights FILE]\n");
        return 2;
    }
    if (open_files(j.inputs, j.input_count, "rb") && open_files(j.outputs, j.output_count, "wb") &&
        open_files(j.expected, j.expected_count, "rb")) {
        code = pf_posix_open(&port, j.path, j.baud) ? fail(3, j.path, strerror(errno)) : 0;
        if (!code) {
            code = report(pf_open(&board, pf_posix_transport(&port), j.timeout, j.named ? j.design : NULL), j.path);
            if (!code) {
                code = j.weights ? load(&board, j.weights) : 0;
                if (!code)
                    code = work(&j, &board);
                pf_close(&board);
            }
            pf_posix_close(&port);
        }
    }
    code = close_files(j.inputs, j.input_count, code);
    code = close_files(j.outputs, j.output_count, code);
    code = close_files(j.expected, j.expected_count, code);
    return code;
}
