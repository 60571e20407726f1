"""Plans: a step of a cell as data, which an executor runs without Python."""
