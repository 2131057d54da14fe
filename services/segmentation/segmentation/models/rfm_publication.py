"""Publishes RFM's scales as each shop's preset says, and makes the models anew of what was published last."""

from collections.abc import Mapping

import asyncpg
import structlog

from common.beside import repeat
from common.clock import Clock
from common.db.engine import Connection
from segmentation.domain.models.days import last_due
from segmentation.domain.models.model import Model
from segmentation.domain.models.rfm import RfmModel, rfm
from segmentation.domain.rulebook import Rulebook
from segmentation.models import rfm_scales
from segmentation.models.rfm_scales import Published
from segmentation.own import store
from segmentation.rulebooks import jobs
from segmentation.rulebooks.held import WAIT

LOOK_S = 30.0  # between two looks whether a publication is due
REASON = "rfm scale"  # of the back-fill

log = structlog.get_logger()


async def scaled(connection: Connection, presets: Rulebook) -> tuple[Model, ...]:
    """The models of a shop, by the scale that was published last."""
    return tuple([await _scaled(connection, presets.shop_id, model) for model in presets.models])


async def _scaled(connection: Connection, shop_id: str, model: Model) -> Model:
    if not isinstance(model, RfmModel):
        return model
    last = await rfm_scales.newest(connection, shop_id)
    return model if last is None else rfm(model.plan, last.scale, last.revision)


class Publication:
    """For all shops of an installation. Several, in one process or many, publish once what is due."""

    def __init__(self, pool: asyncpg.Pool, presets: Mapping[str, Rulebook], clock: Clock) -> None:
        self._pool, self._presets, self._clock = pool, presets, clock

    async def run(self) -> None:
        """Until cancelled."""
        await repeat(self.step, LOOK_S, "rfm scales stay as they are")

    async def step(self) -> bool:
        """Publishes what is due; there is never more at once."""
        for shop_id, presets in self._presets.items():
            for model in presets.models:
                if isinstance(model, RfmModel):
                    async with self._pool.acquire() as connection, connection.transaction():
                        await self._publish(connection, shop_id, presets, model)
        return False

    async def _publish(self, connection: Connection, shop_id: str, presets: Rulebook, model: RfmModel) -> None:
        now, plan = self._clock.now(), model.plan
        due_at = last_due(plan.times, presets.zone, now)
        last = await rfm_scales.newest(connection, shop_id)
        if last is not None and last.due_at >= due_at:
            return
        await rfm_scales.lock(connection, shop_id)
        last = await rfm_scales.newest(connection, shop_id)  # another process may have been first
        if last is not None and last.due_at >= due_at:
            return
        found = await rfm_scales.spread(connection, shop_id, now)
        if found is None or found[0] < plan.from_customers:
            return
        customers, scale = found
        if last is not None and last.scale == scale:
            await rfm_scales.add(connection, shop_id, Published(due_at, now, last.revision, customers, scale))
            return
        revision = await store.raise_revision(connection, shop_id)
        await rfm_scales.add(connection, shop_id, Published(due_at, now, revision, customers, scale))
        await jobs.begin(connection, shop_id, revision, now, REASON, WAIT)
        log.info("rfm scale published", shop=shop_id, revision=revision, customers=customers)
