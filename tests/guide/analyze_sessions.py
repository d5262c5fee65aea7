#!/usr/bin/env python3
"""
Analyze token usage across all sessions.
"""

import json
import glob
from collections import defaultdict
from pathlib import Path

def analyze_sessions(sessions_dir="./runs"):
    """Analyze all sessions in directory."""

    stats = defaultdict(list)
    total_cost = 0
    total_tokens = 0

    for session_file in glob.glob(f"{sessions_dir}/*.json"):
        try:
            with open(session_file, 'r') as f:
                session = json.load(f)

            model = session['model']
            usage = session.get('usage_totals', {})
            tokens = usage.get('total_tokens', 0)
            cost = sum(turn.get('cost_estimate', 0) for turn in session.get('turns', []))

            stats[model].append({
                'tokens': tokens,
                'cost': cost,
                'turns': len(session.get('turns', []))
            })

            total_cost += cost
            total_tokens += tokens

        except Exception as e:
            print(f"Error reading {session_file}: {e}")

    # Print summary
    print(f"📊 Session Analysis Summary")
    print(f"Total Cost: ${total_cost:.4f}")
    print(f"Total Tokens: {total_tokens:,}")
    print()

    for model, sessions in stats.items():
        model_tokens = sum(s['tokens'] for s in sessions)
        model_cost = sum(s['cost'] for s in sessions)
        model_turns = sum(s['turns'] for s in sessions)

        print(f"🤖 {model}")
        print(f"  Sessions: {len(sessions)}")
        print(f"  Tokens: {model_tokens:,}")
        print(f"  Cost: ${model_cost:.4f}")
        print(f"  Turns: {model_turns}")
        print(f"  Avg tokens/session: {model_tokens//len(sessions):,}")
        print()

if __name__ == "__main__":
    analyze_sessions()
