"""Attackers that know the filter: what each of them gains over chance from what the filter lets out."""
