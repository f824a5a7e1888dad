"""The rules of the house: plain values in, plain values out, no clock, no disk, no network."""
