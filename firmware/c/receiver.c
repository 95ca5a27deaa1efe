/* The host's half of the way from the board: which results count, and when to ask for them again. */
#include "link.h"

bool pf_receiver_result(pf_receiver *receiver, uint8_t number, bool *again)
{
    const uint8_t distance = (uint8_t)(number - receiver->next);
    *again = false;
    if (distance == 0) {
        receiver->next++;
        receiver->beyond = -1;
        receiver->unacknowledged++;
        return true;
    }
    /* One that was taken before. Perhaps the board does not know. */
    if (distance >= receiver->slots)
        return false;
    *again = receiver->beyond < 0 || distance <= receiver->beyond;
    receiver->beyond = distance;
    return false;
}

bool pf_receiver_damaged(pf_receiver *receiver)
{
    if (receiver->beyond >= 0)
        return false;
    receiver->beyond = receiver->slots;
    return true;
}

bool pf_receiver_due(const pf_receiver *receiver, bool idle)
{
    /* With all slots held the board waits, else half of them will do. Where the line has no room, small results had better wait for one
       another than take room from the data, each with its frame and its ACK. */
    const uint8_t half = receiver->slots / 2;
    return receiver->unacknowledged >= (idle ? half : receiver->slots);
}
