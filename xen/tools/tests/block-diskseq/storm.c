/* SPDX-License-Identifier: GPL-2.0 */
/*
 * storm NODE: write the node of XenStore as fast as possible, until it is killed.
 */
#include <err.h>
#include <xenstore.h>

int main(int argc, char *argv[])
{
    struct xs_handle *xs = xs_open(0);

    if (argc != 2)
        return 2;
    if (!xs)
        err(1, "xs_open");
    while (xs_write(xs, XBT_NULL, argv[1], "storm", 5))
        ;
    err(1, "%s", argv[1]);
}
