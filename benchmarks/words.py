"""What the page says around its numbers."""

SHARE = """\
A decoding step is a forward pass, which gives the logits, and sampling, which makes a token of them. Both were timed
where they happen: one after the other, with `top_p(0.95)`. The models have GPT-2's shape and random weights. Their
logits are *flat* as random weights make them (nearly every token is in the nucleus, the hardest case), or *peaked*,
stretched to an entropy of about 2 nats."""

TARGETS = """\
## Targets

How many times faster than somebody else, or how many times the floor; one row of 128,256 logits, hot, unless told. It
is the worse of peaked and flat rows where one is not named. A target is met if `Sampler.step` meets it, which is what a
loop calls; those about `np.max` and memory are about the kernel. What is missed stays on the page."""

PROFILE = """\
One row of 128,256 logits, hot. np.max is what looking at every logit once takes where four rows, 2 MB, do not stay in
the cache of one core. The rest of the kernel is exponentials, sums and the draw. Python is the call, the checks, and
the new `State` and `Step`. The last column is what transformers takes, divided by the target: for top_k and min_p it is
little more than np.max alone. Step and kernel are timed with other random numbers, so that under a dynamic temperature
the passes in float64 fall on other calls."""

PEERS = """\
## Who was timed, on what

- *Sampler.step*: what a loop calls, with state, seed and history. *kernel*: what it calls in turn, with everything
  ready.
- *transformers*: its processors, softmax and multinomial; the better of one thread and two. It has no rule that makes
  a temperature of the entropy: there it is its top_p alone, which is less work.
- *torch by hand*: top_k by `torch.topk`; top_p by the 1,024, then the 16,384 largest, a sort only if these do not
  suffice; memory made beforehand; the draw by one uniform number. One thread.
- *NumPy, argsort*: as it is mostly written. *NumPy by hand*: by partition, by a mask, or by a sort of the values alone.
- *llama.cpp*: its chain through llama-cpp-python, with and without copying the logits into its array of candidates,
  which that package does in NumPy. For the entropy's temperature it is top_p alone too: its own rule is another one.
- *np.max* looks at every logit once: the floor.

The rows:"""

CHECKED = """\
Before its clock runs, each peer is checked: it must draw from the same probabilities as our plain rules, to 1e-5 in
total. llama.cpp is held to 1e-3: it sums a row in float32, one logit after another, so that its top_p cuts a little
elsewhere. The check is on rows without ties: where tokens tie at a cut, all of them stay with us, and with most others
not. Our step is checked too: it must run in a kernel, and draw what the plain rules draw."""

CLOCKS = """\
## One step, in a loop that does nothing else

All contenders of a case take turns. *Hot* goes over four rows (or two batches of 8, one of 64) again and again, in
turns of twelve calls where a call takes less than a millisecond. Means and spread of every cell are kept beside the
medians in `build/bench/`, where the run writes down each case as it ends. `make bench` takes 15 to 25 minutes, and
goes on where it was broken off; `make bench ARGS=--quick` takes one or two, and prints the targets."""

RULES = """\
`Sampler.step` with one rule, on a flat row of 128,256 logits after 64 tokens, hot: as its plain body, which defines it,
and where a kernel covers it (for some, at the head of a chain). Both draw the same tokens. Where the cut of tfs or
top_h lies deep in a flat row, as that of this tfs does, the kernel looks and leaves it to the plain body."""
