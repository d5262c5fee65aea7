#!/usr/bin/env python3
"""
Filter sessions by various criteria.
"""

import json
import glob
import argparse
from datetime import datetime, timedelta
from pathlib import Path

def filter_sessions(sessions_dir="./runs", **filters):
    """Filter sessions based on criteria."""

    matching_sessions = []

    for session_file in glob.glob(f"{sessions_dir}/*.json"):
        try:
            with open(session_file, 'r') as f:
                session = json.load(f)

            session['filename'] = Path(session_file).name

            if matches_filters(session, filters):
                matching_sessions.append(session)

        except Exception as e:
            print(f"Error reading {session_file}: {e}")

    return matching_sessions

def matches_filters(session, filters):
    """Check if session matches all filters."""

    # Model filter
    if filters.get('model') and filters['model'] not in session.get('model', ''):
        return False

    # Date range filter
    if filters.get('since'):
        created_at = datetime.fromisoformat(session.get('created_at', ''))
        if created_at < filters['since']:
            return False

    # Minimum turns filter
    if filters.get('min_turns'):
        turns = len(session.get('turns', []))
        if turns < filters['min_turns']:
            return False

    # Cost range filter
    if filters.get('min_cost') or filters.get('max_cost'):
        total_cost = sum(turn.get('cost_estimate', 0) for turn in session.get('turns', []))
        if filters.get('min_cost') and total_cost < filters['min_cost']:
            return False
        if filters.get('max_cost') and total_cost > filters['max_cost']:
            return False

    # System prompt filter
    if filters.get('system_contains'):
        system = session.get('system', '').lower()
        if filters['system_contains'].lower() not in system:
            return False

    return True

def main():
    parser = argparse.ArgumentParser(description='Filter chat sessions')
    parser.add_argument('--dir', default='./runs', help='Sessions directory')
    parser.add_argument('--model', help='Filter by model (substring match)')
    parser.add_argument('--since', help='Filter by date (YYYY-MM-DD)')
    parser.add_argument('--min-turns', type=int, help='Minimum number of turns')
    parser.add_argument('--min-cost', type=float, help='Minimum cost')
    parser.add_argument('--max-cost', type=float, help='Maximum cost')
    parser.add_argument('--system-contains', help='Filter by system prompt content')
    parser.add_argument('--format', choices=['list', 'table', 'json'], default='list',
                       help='Output format')

    args = parser.parse_args()

    # Prepare filters
    filters = {}
    if args.model:
        filters['model'] = args.model
    if args.since:
        filters['since'] = datetime.strptime(args.since, '%Y-%m-%d')
    if args.min_turns:
        filters['min_turns'] = args.min_turns
    if args.min_cost:
        filters['min_cost'] = args.min_cost
    if args.max_cost:
        filters['max_cost'] = args.max_cost
    if args.system_contains:
        filters['system_contains'] = args.system_contains

    # Filter sessions
    sessions = filter_sessions(args.dir, **filters)

    # Output results
    if args.format == 'json':
        print(json.dumps(sessions, indent=2, default=str))
    elif args.format == 'table':
        print_table(sessions)
    else:
        print_list(sessions)

def print_list(sessions):
    """Print sessions as a simple list."""
    print(f"Found {len(sessions)} matching sessions:")
    for session in sessions:
        turns = len(session.get('turns', []))
        cost = sum(turn.get('cost_estimate', 0) for turn in session.get('turns', []))
        model = session.get('model', 'Unknown')[:20]
        print(f"  {session['filename']} - {model} - {turns} turns - ${cost:.4f}")

def print_table(sessions):
    """Print sessions in table format."""
    if not sessions:
        print("No matching sessions found.")
        return

    print(f"{'Filename':<30} {'Model':<20} {'Turns':<6} {'Cost':<10}")
    print("-" * 70)

    for session in sessions:
        filename = session['filename'][:29]
        model = session.get('model', 'Unknown')[:19]
        turns = len(session.get('turns', []))
        cost = sum(turn.get('cost_estimate', 0) for turn in session.get('turns', []))

        print(f"{filename:<30} {model:<20} {turns:<6} ${cost:<9.4f}")

if __name__ == "__main__":
    main()
