"""Requests that arrive while the model is busy are answered together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

Request = TypeVar("Request")
Reply = TypeVar("Reply")


@dataclass(eq=False)
class _Waiting(Generic[Request, Reply]):
    request: Request
    key: Hashable
    replies: tuple[Reply, ...] = ()
    error: BaseException | None = None

    @property
    def settled(self) -> bool:
        return bool(self.replies) or self.error is not None


class Batcher(Generic[Request, Reply]):
    """One batch at a time runs in a thread. Whoever gets the turn takes along, from the queue, the requests of its own key,
    at most `size`; nobody waits for company.

    An error is everybody's whose request was in the batch."""

    def __init__(self, work: Callable[[Sequence[Request]], Sequence[Reply]], size: int) -> None:
        self._work = work
        self._size = size
        self._queue: list[_Waiting[Request, Reply]] = []

    @cached_property
    def _turn(self) -> anyio.Lock:
        return anyio.Lock()

    async def __call__(self, request: Request, key: Hashable) -> Reply:
        """The reply to `request`, which only shares a batch with requests of an equal key."""
        mine = _Waiting[Request, Reply](request, key)
        self._queue.append(mine)
        try:
            # Lets the requests that were started at the same moment queue up before the first of them runs.
            await anyio.lowlevel.checkpoint()
            async with self._turn:
                if not mine.settled:
                    await self._run(mine)
        finally:
            if mine in self._queue:
                self._queue.remove(mine)
        if mine.error is not None:
            raise mine.error
        return mine.replies[0]

    async def _run(self, mine: _Waiting[Request, Reply]) -> None:
        others = [each for each in self._queue if each.key == mine.key and each is not mine]
        batch = [mine, *others[: self._size - 1]]
        for each in batch:
            self._queue.remove(each)
        try:
            replies = await anyio.to_thread.run_sync(self._work, [each.request for each in batch])
        except Exception as error:
            for each in batch:
                each.error = error
        else:
            for each, reply in zip(batch, replies, strict=True):
                each.replies = (reply,)
