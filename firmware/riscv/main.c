/* Classifies the images in memory and prints each one's class on a line; any byte received starts over. */
#include "pulsefold.h"

static void print_number(int value)
{
    char digits[4];
    int count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (count)
        pf_put(digits[--count]);
}

int main(void)
{
    static uint8_t result[PF_RESULT_BYTES];
    for (;;) {
        for (int n = 0; n < PF_IMAGES; n++) {
            pf_run(pf_images[n], result);
            print_number(pf_class(result));
            pf_put('\n');
        }
        while (!(PF_SERIAL->data & 0x100)) {
        }
    }
}
