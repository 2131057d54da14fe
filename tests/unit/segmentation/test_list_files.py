"""Uploaded lists: which column of a file holds the ids, and what is said of one that holds none."""

import pytest

from segmentation.lists.files import NO_COLUMN, read


@pytest.mark.parametrize(
    ("file", "customers"),
    [
        ("customer_id\nu1\nu2\n", ["u1", "u2"]),
        ("name,customer_id\nAnn,u1\n\nBob,u2\n", ["u1", "u2"]),
        ("customer_id,name\nu1,Ann\n", ["u1"]),
        ("\ufeffcustomer_id\r\nu1\r\nu1\r\n", ["u1"]),
        ("u1\nu2\n", ["u1", "u2"]),
        ("", []),
    ],
)
def test_the_column_of_ids(file: str, customers: list[str]) -> None:
    assert read(file.encode(), "text/csv") == (customers, ())


@pytest.mark.parametrize("file", ["id,foo\nu1,x\n", "u1,x\n", "u1\nu2,x\n", "Customer,customer\nu1,x\n"])
def test_of_several_columns_none_is_guessed(file: str) -> None:
    _, (fault,) = read(file.encode(), "text/csv")
    assert (fault.path, fault.reason) == ("$", NO_COLUMN)
