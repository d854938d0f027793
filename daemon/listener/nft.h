/*
 * Bans as sets of nftables(8).  Nothing goes into the text but numbers: the
 * addresses are printed anew, reasons and names stay away.
 */
#ifndef LISTENER_NFT_H
#define LISTENER_NFT_H

#include <stdint.h>
#include <stdio.h>

#include "daemon/listener/srclimit.h"

/*
 * Writes commands that make the sets banned4 and banned6 of the table inet sallyport hold the bans and penalties there
 * are, each with the time that is left. Networks that lie within others become ranges that do not overlap, as a set
 * demands; an address keeps the longest of its bans. 0 or -ENOMEM, and then nothing was written.
 */
int nft_write(FILE *, struct srclimit *, const struct srclimit_rules *, int64_t now);

#endif
