"""The scale that PostgreSQL makes of a shop's buyers is the one that the pure function makes of them."""

import random
from datetime import UTC, datetime, timedelta

import asyncpg

from segmentation.domain.models.rfm_scale import Purchaser, quintiles
from segmentation.models.rfm_scales import Buyer, Published, add, keep, newest, spread

SHOP = "demo"
AT = datetime(2026, 6, 1, 3, tzinfo=UTC)
SEEDS = range(20)


def some(chance: random.Random) -> list[Purchaser]:
    """Few values, so that many have the same; ids whose order is another one by the words of most languages."""
    ids = chance.sample([f"{letter}{number}" for letter in "aBÄé-_z" for number in range(20)], chance.randint(1, 90))
    return [
        Purchaser(
            customer_id,
            AT - chance.randint(0, 12) * timedelta(hours=12) - chance.choice([0, 1]) * timedelta(microseconds=1),
            chance.choice([1, 1, 1, 2, 3]),
            chance.randint(0, 30),
        )
        for customer_id in ids
    ]


def kept(shop_id: str, customer_id: str, of: Purchaser | None) -> Buyer:
    return (shop_id, customer_id, *((None, 0, 0) if of is None else (of.last_at, of.orders, of.amount_minor)))


async def test_it_is_the_same_scale(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        for seed in SEEDS:
            shop_id, people = f"shop-{seed}", some(random.Random(seed))
            await keep(connection, [kept("other", each.customer_id, each) for each in people])
            await keep(connection, [kept(shop_id, each.customer_id, each) for each in people])
            assert await spread(connection, shop_id, AT) == (len(people), quintiles(people, AT)), seed


async def test_it_follows_what_customers_buy_and_cancel(pool: asyncpg.Pool) -> None:
    one, other = Purchaser("c1", AT - timedelta(days=9), 1, 500), Purchaser("c2", AT - timedelta(days=3), 2, 700)
    async with pool.acquire() as connection:
        assert await spread(connection, SHOP, AT) is None
        await keep(connection, [])
        await keep(connection, [kept(SHOP, "c2", other), kept(SHOP, "c1", one), kept(SHOP, "c3", None)])
        for now in ([one, other], [one, Purchaser("c2", AT, 3, 900)], [one]):
            told = {each.customer_id: each for each in now}
            await keep(connection, [kept(SHOP, name, told.get(name)) for name in ("c1", "c2")])
            assert await spread(connection, SHOP, AT) == (len(now), quintiles(now, AT))


async def test_who_bought_nothing_more_is_not_written_anew(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        of = kept(SHOP, "c1", Purchaser("c1", AT, 1, 5))
        await keep(connection, [of])
        before = await connection.fetchval("SELECT ctid FROM purchasers")
        await keep(connection, [of])
        assert await connection.fetchval("SELECT ctid FROM purchasers") == before


async def test_what_was_published_last_is_read_as_it_was(pool: asyncpg.Pool) -> None:
    people = some(random.Random(7))
    async with pool.acquire() as connection:
        assert await newest(connection, SHOP) is None
        first = Published(AT, AT + timedelta(seconds=4), 5, len(people), quintiles(people, AT))
        later = Published(AT + timedelta(days=1), AT + timedelta(days=1), 9, 3, quintiles(people[:3], AT))
        for published in (later, first):
            await add(connection, SHOP, published)
            assert await newest(connection, SHOP) == later
        assert await newest(connection, "nobody") is None
