"""``valtag identity`` where there are no identities."""

from valtag_tests.cli.conftest import Shop, Valtag


def test_without_identity_yaml_it_says_who_a_person_is(valtag: Valtag, shop: Shop) -> None:
    for words in (["report"], ["show", "M1"]):
        said = valtag("identity", *words, *shop.options)
        assert (said.code, said.out) == (1, "") and "no identity.yaml" in said.err
