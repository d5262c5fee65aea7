#!/usr/bin/env python3
"""
Attempt to recover corrupted session files.
"""

import json
import re
from pathlib import Path

def recover_session(filename):
    """Attempt to recover a corrupted session file."""

    with open(filename, 'r') as f:
        content = f.read()

    # Try to extract valid JSON parts
    json_objects = []

    # Look for complete JSON objects
    brace_level = 0
    start_pos = None

    for i, char in enumerate(content):
        if char == '{':
            if brace_level == 0:
                start_pos = i
            brace_level += 1
        elif char == '}':
            brace_level -= 1
            if brace_level == 0 and start_pos is not None:
                try:
                    obj = json.loads(content[start_pos:i+1])
                    json_objects.append(obj)
                except json.JSONDecodeError:
                    pass
                start_pos = None

    # Try to reconstruct session
    if json_objects:
        session = json_objects[0]  # Assume first is the main session

        # Validate required fields
        if 'model' not in session:
            session['model'] = 'unknown'
        if 'turns' not in session:
            session['turns'] = []
        if 'created_at' not in session:
            session['created_at'] = '2024-01-01T00:00:00'

        # Save recovered session
        backup_name = f"{filename}.backup"
        Path(filename).rename(backup_name)

        with open(filename, 'w') as f:
            json.dump(session, f, indent=2)

        print(f"Recovered session saved to {filename}")
        print(f"Original backed up to {backup_name}")
        return True

    print(f"Could not recover {filename}")
    return False

# Usage
if __name__ == "__main__":
    import sys
    if len(sys.argv) != 2:
        print("Usage: python3 recover_session.py <session_file.json>")
        sys.exit(1)

    recover_session(sys.argv[1])
