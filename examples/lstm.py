"""Dynamic temperature on an LSTM: any model that maps token ids to logits plugs in, and reads every token once.

The loop that this example is after (S3 in docs/errata.md) fed the whole text back together with the carried state, so
that its LSTM read old tokens twice.
"""

import torch
from torch import Tensor, nn

import logitherm as lt
from logitherm.models.toy import TEXT, Bytes

torch.manual_seed(0)
torch.set_num_threads(1)  # a model so small is slower on several
embed, lstm, head = nn.Embedding(Bytes.size, 32), nn.LSTM(32, 128, batch_first=True), nn.Linear(128, Bytes.size)
State = tuple[Tensor, Tensor]


def read(ids: list[int], state: State | None = None) -> tuple[Tensor, State]:
    """The logits after each of these tokens, and the state in which they leave the LSTM."""
    hidden, state = lstm(embed(torch.tensor([ids])), state)
    return head(hidden)[0], state


@torch.no_grad()
def step(new_ids: list[int], state: State | None) -> tuple[Tensor, State]:
    """What a stateful callable model is: only the new tokens come in, with the state after the old ones."""
    logits, state = read(new_ids, state)
    return logits[-1], state


text = Bytes().encode(TEXT)
optimizer = torch.optim.Adam([*embed.parameters(), *lstm.parameters(), *head.parameters()], lr=0.01)
for _ in range(120):  # a few seconds: it learns a text of four lines nearly by heart
    loss = nn.functional.cross_entropy(read(text[:-1])[0], torch.tensor(text[1:]))
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
model = lt.CallableModel(step, Bytes(), stateful=True, name="lstm")
print(lt.generate("The cat ", "dynamic_temperature(0.1, entropy=0.8, t_max=1.5)", model=model, seed=1))
