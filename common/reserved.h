/* Names that the server keeps for itself in the folders of its users. */
#ifndef COMMON_RESERVED_H
#define COMMON_RESERVED_H

/* Files that begin so are uploads that are not complete: no client can name them. */
#define RESERVED_PREFIX	".sallyport-part-"

#endif
