"""Whole sets of pictures held against an atlas: how near, how varied, how evenly spread, and how that was measured.

`plan` says what is to be drawn or read, `run` does it shard by shard, `document` gathers what the measures say of it,
and `tables` and `page` write that down for programs and for people.
"""
