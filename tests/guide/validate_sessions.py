#!/usr/bin/env python3
"""Validate all session files."""

import json
import glob
from pathlib import Path

def validate_sessions(directory="./runs"):
    """Validate all session files in directory."""

    valid_count = 0
    invalid_files = []

    for session_file in glob.glob(f"{directory}/*.json"):
        try:
            with open(session_file, 'r') as f:
                session = json.load(f)

            # Check required fields
            required_fields = ['model', 'turns', 'created_at']
            for field in required_fields:
                if field not in session:
                    raise ValueError(f"Missing required field: {field}")

            valid_count += 1

        except Exception as e:
            invalid_files.append((session_file, str(e)))

    print(f"✅ {valid_count} valid session files")
    if invalid_files:
        print(f"❌ {len(invalid_files)} invalid session files:")
        for filename, error in invalid_files:
            print(f"   {Path(filename).name}: {error}")

    return len(invalid_files) == 0

if __name__ == "__main__":
    validate_sessions()
