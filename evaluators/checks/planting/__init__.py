"""The test bench of checks: errors planted in right outputs, and what checks find of them."""
