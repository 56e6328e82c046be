"""The stack whose gradient bench/sent.py compares: layers in the style of
Llama, bf16, without positions (they send nothing). Sizes divide by 8."""

BATCH, LENGTH, HIDDEN, HEADS, GROUP, FEED = 4, 256, 1024, 8, 2, 2816
HEAD = HIDDEN // (HEADS * GROUP)


def parameters():
    """Of one layer, by name: shape, and the dimension that Megatron splits."""
    return {
        "g": ((HIDDEN,), None),
        "q": ((HIDDEN, HEADS, GROUP, HEAD), 1),
        "k": ((HIDDEN, HEADS, HEAD), 1),
        "v": ((HIDDEN, HEADS, HEAD), 1),
        "o": ((HEADS, GROUP, HEAD, HIDDEN), 0),
        "h": ((HIDDEN,), None),
        "gate": ((HIDDEN, FEED), 1),
        "up": ((HIDDEN, FEED), 1),
        "down": ((FEED, HIDDEN), 0),
    }
