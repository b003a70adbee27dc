# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_diskwright_global_optspecs
    string join \n h/help V/version
end

function __fish_diskwright_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_diskwright_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_diskwright_using_subcommand
    set -l cmd (__fish_diskwright_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c diskwright -n "__fish_diskwright_needs_command" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_needs_command" -s V -l version -d 'Print version'
complete -c diskwright -n "__fish_diskwright_needs_command" -f -a "map" -d 'Look at maps of rescues, combine them, and turn them into lists of sectors and back'
complete -c diskwright -n "__fish_diskwright_needs_command" -f -a "control" -d 'Tell a disk that is being served what happens to it: a reset, a broken head, gone from the bus'
complete -c diskwright -n "__fish_diskwright_needs_command" -f -a "mount" -d 'Show a disk as a file, or as a block device, that fails as the disk does; until a signal comes'
complete -c diskwright -n "__fish_diskwright_needs_command" -f -a "export" -d 'Write the damage of a simulated disk as it stands at a moment, for other tools'
complete -c diskwright -n "__fish_diskwright_needs_command" -f -a "scenario" -d 'Look at simulated disks and what happened to them, and write new ones'
complete -c diskwright -n "__fish_diskwright_needs_command" -f -a "serve" -d 'Serve simulated disks, images and drives over the network: what is bad in them fails there as it does here'
complete -c diskwright -n "__fish_diskwright_needs_command" -f -a "rescue" -d 'Read everything that can be read from a failing disk: good parts first, resumable at any moment'
complete -c diskwright -n "__fish_diskwright_needs_command" -f -a "gen-docs" -d 'Write the manual pages and the shell completions of every name this program answers to'
complete -c diskwright -n "__fish_diskwright_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "show" -d 'Tell how much has which status'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "list" -d 'List the sectors that have certain statuses'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "create" -d 'Make a map from a list or bitmap of sectors'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "invert" -d 'Make what is finished bad, and everything else finished'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "and" -d 'Keep finished only what is finished in both maps'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "or" -d 'Finish what is finished in either map'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "xor" -d 'Finish what is finished in exactly one of the maps'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "shift" -d 'Move all blocks up or down'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "change" -d 'Give blocks of some statuses other ones'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "complete" -d 'Put unordered blocks in order and fill the gaps between them'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "compare" -d 'Tell whether two maps say the same: exit status 0 if so, else 1'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "annotate" -d 'Write the map with positions and sizes that a person can read beside each block'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "done" -d 'Tell whether everything is rescued: exit status 0 if so, else 1'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "picture" -d 'Draw the map'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and not __fish_seen_subcommand_from show list create invert and or xor shift change complete compare annotate done picture help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from show" -l from -d 'Where the part that is meant begins' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from show" -l size -d 'How long it is; to the end if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from show" -l domain -d 'Only what is finished in this map is meant' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from show" -l json -d 'Write JSON: an array with one object per map'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from list" -l types -d 'Statuses to list: some of ? * / - +' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from list" -l from -d 'Where the part that is meant begins' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from list" -l size -d 'How long it is; to the end if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from list" -l domain -d 'Only what is finished in this map is meant' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from list" -l sector -d 'Bytes in a sector' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from list" -l bitmap -d 'One bit per sector instead of numbers; says which bit of a byte is the first sector' -r -f -a "low\t'The least significant'
high\t'The most significant'"
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from list" -s o -l output -d 'Write to this file, replacing it, instead of standard output' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from create" -l types -d 'Status of listed sectors, then of all others' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from create" -l size -d 'Size of the disk; without it the map has no end' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from create" -l sector -d 'Bytes in a sector' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from create" -l bitmap -d 'One bit per sector instead of numbers; says which bit of a byte is the first sector' -r -f -a "low\t'The least significant'
high\t'The most significant'"
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from create" -s o -l output -d 'Write to this file, replacing it, instead of standard output' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from invert" -l from -d 'Where the part that is meant begins' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from invert" -l size -d 'How long it is; to the end if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from invert" -l domain -d 'Only what is finished in this map is meant' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from invert" -s o -l output -d 'Write to this file, replacing it, instead of standard output' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from invert" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from and" -l from -d 'Where the part that is meant begins' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from and" -l size -d 'How long it is; to the end if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from and" -l domain -d 'Only what is finished in this map is meant' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from and" -s o -l output -d 'Write to this file, replacing it, instead of standard output' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from and" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from or" -l from -d 'Where the part that is meant begins' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from or" -l size -d 'How long it is; to the end if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from or" -l domain -d 'Only what is finished in this map is meant' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from or" -s o -l output -d 'Write to this file, replacing it, instead of standard output' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from or" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from xor" -l from -d 'Where the part that is meant begins' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from xor" -l size -d 'How long it is; to the end if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from xor" -l domain -d 'Only what is finished in this map is meant' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from xor" -s o -l output -d 'Write to this file, replacing it, instead of standard output' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from xor" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from shift" -l by -d 'How far; a negative distance moves down, and drops what falls below 0' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from shift" -s o -l output -d 'Write to this file, replacing it, instead of standard output' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from shift" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from change" -l old -d 'Statuses to change: some of ? * / - +' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from change" -l new -d 'What each of them becomes; the last one counts for all that are left' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from change" -l from -d 'Where the part that is meant begins' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from change" -l size -d 'How long it is; to the end if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from change" -l domain -d 'Only what is finished in this map is meant' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from change" -s o -l output -d 'Write to this file, replacing it, instead of standard output' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from change" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from complete" -l gaps -d 'Status of what fills the gaps' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from complete" -s o -l output -d 'Write to this file, replacing it, instead of standard output' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from complete" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from compare" -l from -d 'Where the part that is meant begins' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from compare" -l size -d 'How long it is; to the end if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from compare" -l domain -d 'Only what is finished in this map is meant' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from compare" -l finished -d 'Look only at what is finished'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from compare" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from annotate" -l from -d 'Where the part that is meant begins' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from annotate" -l size -d 'How long it is; to the end if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from annotate" -l domain -d 'Only what is finished in this map is meant' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from annotate" -s o -l output -d 'Write to this file, replacing it, instead of standard output' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from annotate" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from done" -l from -d 'Where the part that is meant begins' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from done" -l size -d 'How long it is; to the end if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from done" -l domain -d 'Only what is finished in this map is meant' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from done" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from picture" -l from -d 'Where the part that is meant begins' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from picture" -l size -d 'How long it is; to the end if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from picture" -l domain -d 'Only what is finished in this map is meant' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from picture" -l width -d 'Columns; those of the terminal if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from picture" -l height -d 'Lines; those of the terminal if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from picture" -l svg -d 'Write an SVG image to this file instead' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from picture" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "show" -d 'Tell how much has which status'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the sectors that have certain statuses'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a map from a list or bitmap of sectors'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "invert" -d 'Make what is finished bad, and everything else finished'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "and" -d 'Keep finished only what is finished in both maps'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "or" -d 'Finish what is finished in either map'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "xor" -d 'Finish what is finished in exactly one of the maps'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "shift" -d 'Move all blocks up or down'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "change" -d 'Give blocks of some statuses other ones'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "complete" -d 'Put unordered blocks in order and fill the gaps between them'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "compare" -d 'Tell whether two maps say the same: exit status 0 if so, else 1'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "annotate" -d 'Write the map with positions and sizes that a person can read beside each block'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "done" -d 'Tell whether everything is rescued: exit status 0 if so, else 1'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "picture" -d 'Draw the map'
complete -c diskwright -n "__fish_diskwright_using_subcommand map; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c diskwright -n "__fish_diskwright_using_subcommand control" -l export -d 'The disk, by its export name; the first one if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand control" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -l map -d 'Only what this map calls finished can be read; for images' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -l sector-size -d 'Bytes of a sector of an image' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -l access -d 'How reads fail, however the file was opened: raw (as the drive says), direct, or buffered' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -l errno -d 'What damage is called' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -l pace -d 'How fast a simulated disk is: real, so many times as fast (such as 10 or 0.5), or instant' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -l idle -d 'Whether time passes for a simulated disk while nobody asks it anything; with --pace=instant it never does' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -l control -d 'Take orders on this socket, from \'diskwright control\'' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -l log -d 'Write down what simulated disks are asked and what they say, as JSON Lines in the disks\' own times; \'diskwright serve --replay\' repeats it. Replaces FILE' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -s P -l pidfile -d 'Write the number of this process to this file when everything is ready; removed at the end' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -l run -d 'Run this shell command when everything is ready, end when it ends, and exit with its status' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -l loop -d 'Put a read-only loop device with direct I/O over it (as root), and say its name'
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -s f -l foreground -d 'Stay in the foreground, as is done anyway'
complete -c diskwright -n "__fish_diskwright_using_subcommand mount" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c diskwright -n "__fish_diskwright_using_subcommand export" -l to -d 'For which tool' -r -f -a "mapfile\t'a rescue map, for ddrescue, ddrescuelog and nbdkit\'s ddrescue filter'
dm-error\t'a table for dmsetup: bad sectors fail'
dm-dust\t'a shell script that sets up dm-dust: bad sectors fail until they are written'
dm-delay\t'a table for dmsetup: slow sectors come late, bad ones fail'
blkdebug\t'rules for QEMU\'s blkdebug'
scsi-debug\t'a shell script that loads scsi_debug: a SCSI disk with one bad area'
null-blk\t'a shell script that sets up a null_blk device with bad blocks'
simulator-cfg\t'simulator.cfg of safecopy\'s simulator library'
badblocks\t'a list of bad blocks as of badblocks, for mke2fs -l and e2fsck -l'
raw\t'the bytes that the disk would give if it were well, into a file with holes'"
complete -c diskwright -n "__fish_diskwright_using_subcommand export" -l at -d 'The moment: so long after the drive was switched on, in seconds, or with s, m, h or d behind the number' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand export" -s o -l output -d 'Write to this file, which must not exist, instead of standard output (-); needed for raw' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand export" -l device -d 'What the damage is to lie over: a device for dm-error, dm-dust and dm-delay, an image for blkdebug and simulator-cfg. The result\'s comments say what it must be like' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand export" -l block-size -d 'Size of a block of badblocks; 4096 if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and not __fish_seen_subcommand_from list show check schema new fit help" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and not __fish_seen_subcommand_from list show check schema new fit help" -f -a "list" -d 'List the scenarios that come with the program'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and not __fish_seen_subcommand_from list show check schema new fit help" -f -a "show" -d 'Tell what happened to a disk, draw its damage, and say how long it takes to read'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and not __fish_seen_subcommand_from list show check schema new fit help" -f -a "check" -d 'Tell whether scenarios can be used: exit status 0 if so, 5 if one cannot, 4 if one cannot be read, 2 if there is none of that name'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and not __fish_seen_subcommand_from list show check schema new fit help" -f -a "schema" -d 'Write the JSON schema of scenarios'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and not __fish_seen_subcommand_from list show check schema new fit help" -f -a "new" -d 'Write a scenario to start from, with everything that it may say'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and not __fish_seen_subcommand_from list show check schema new fit help" -f -a "fit" -d 'Estimate how a real drive works from a log of its reads, and write it down as a scenario'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and not __fish_seen_subcommand_from list show check schema new fit help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from list" -l json -d 'Write JSON: an array with one object per scenario and per small twin'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from show" -l seed -d 'Seed of the disk; the scenario\'s own if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from show" -l width -d 'Columns; those of the terminal if not given' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from show" -l height -d 'Lines of the drawing' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from show" -l svg -d 'Write an SVG image instead, to this file, which must not exist, or to - for standard output' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from show" -l json -d 'Write JSON instead: one object'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from new" -l from -d 'Start from this scenario of the list' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from new" -l medium -d 'Start from a disk of this kind' -r -f -a "rotating\t''
flash\t''
optical\t''
floppy\t''
uniform\t''"
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from new" -s o -l output -d 'Write to this file, which must not exist, instead of standard output (-)' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from fit" -l format -d 'Its kind, if its first lines do not tell' -r -f -a "diskwright\t''
safecopy-timing\t''
safecopy-simulator\t''
safecopy-classes\t''
ddrescue-reads\t''"
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from fit" -l block -d 'Size of a block in a log of safecopy -T, if no read in it was whole' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from fit" -s o -l output -d 'Write the scenario to this file, and its map beside it with the ending .map; neither may exist' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from fit" -l fail-first -d 'Take the first number behind softfail in a simulator.cfg as the exponent of failing reads'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from fit" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the scenarios that come with the program'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from help" -f -a "show" -d 'Tell what happened to a disk, draw its damage, and say how long it takes to read'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from help" -f -a "check" -d 'Tell whether scenarios can be used: exit status 0 if so, 5 if one cannot, 4 if one cannot be read, 2 if there is none of that name'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from help" -f -a "schema" -d 'Write the JSON schema of scenarios'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from help" -f -a "new" -d 'Write a scenario to start from, with everything that it may say'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from help" -f -a "fit" -d 'Estimate how a real drive works from a log of its reads, and write it down as a scenario'
complete -c diskwright -n "__fish_diskwright_using_subcommand scenario; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l map -d 'Of the image, serve what this map calls finished; the rest is bad' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l sector-size -d 'Bytes of a sector of an image' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -s U -l unix -d 'Listen on this socket; - makes one for the time of --run' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -s p -l port -d 'Listen on this TCP port, on this machine\'s own addresses only; 0 is any that is free [default: 10809]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -s i -l ip -d 'Listen on this address instead; may be given several times. Whoever reaches it can read all that is served' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l vsock -d 'Listen on this port for virtual machines, and for the host of this one' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l fd -d 'Serve one client on this open descriptor, a connected socket' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l pace -d 'How fast a simulated disk is: real, so many times as fast (such as 10 or 0.5), or instant' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l idle -d 'Whether time passes for a simulated disk while nobody asks it anything; with --pace=instant it never does' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l on-error -d 'What a read does at a bad sector: stop there, as drives do, or go on behind it' -r -f -a "stop\t''
continue\t''"
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l when-gone -d 'What clients see of a simulated disk that has left: errors, the request to leave, a connection that breaks off once or for good, or nothing at all' -r -f -a "eio\t''
shutdown\t''
drop\t''
refuse\t''
mute\t''"
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l deadline -d 'How long a request to a real drive may take, in seconds, before it is answered with an error' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l control -d 'Take orders on this socket, from \'diskwright control\'' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l log -d 'Write down what simulated disks are asked and what they say, as JSON Lines in the disks\' own times; \'diskwright serve --replay\' repeats it. Replaces FILE' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l replay -d 'Serve nothing, but repeat what was written down with --log, and say what comes out differently (exit status 1)' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l smallest-block -d 'The smallest piece that clients may read: a sector of the disk, or a byte, for which its sector is read' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l max-connections -d 'Connections at a time; others are closed at once' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -s P -l pidfile -d 'Write the number of this process to this file when everything is ready; removed at the end' -r -F
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l run -d 'Run this shell command when everything is ready, end when it ends, and exit with its status' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l all -d 'Serve every scenario of \'diskwright scenario list\', and every small twin'
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -s s -l stdio -d 'Serve one client on standard input and output'
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -l health -d 'Tell clients what simulated disks know of their damage: context x-diskwright:health'
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -s f -l foreground -d 'Stay in the foreground, as is done anyway'
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -s v -l verbose -d 'Say on standard error who comes and why they leave'
complete -c diskwright -n "__fish_diskwright_using_subcommand serve" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s a -l min-read-rate -d 'read rate per second below which good areas count as slow; 0: a tenth of the average' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s b -l sector-size -d 'size of a sector of the source [the device\'s physical sector]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s c -l cluster-size -d 'sectors to copy at a time [64 KiB worth]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s e -l max-bad-areas -d 'stop at more bad areas than this; with + more new ones' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s E -l max-error-rate -d 'stop when more bytes than this fail in a second' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s H -l test-mode -d 'let everything fail that this mapfile does not call finished' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s i -l input-position -d 'where to begin in infile [0]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s K -l skip-size -d 'bytes to skip after the first error, and at most; 0: skip nothing' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s m -l domain-mapfile -d 'rescue only what this mapfile calls finished' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s o -l output-position -d 'where to begin in outfile [as -i]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s r -l retry-passes -d 'times to read all bad sectors again; -1: without end [0]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s s -l size -d 'bytes of infile to rescue at most; -1: all' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s T -l timeout -d 'stop after so long without new data' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s x -l extend-outfile -d 'make outfile at least this long at the end' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s X -l max-read-errors -d 'stop at more failed reads than this' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s Z -l max-read-rate -d 'read no more than this in a second' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l continue-on-errno -d 'take these error numbers for damage instead of giving up' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l cpass -d 'copying passes to run, such as 1,3-5; 0: none' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l delay-slow -d 'time before anything counts as slow [30]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l log-events -d 'append a record of what happens to this file' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l log-rates -d 'write rates and damage, second by second, to this file' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l log-reads -d 'write every read to this file' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l mapfile-interval -d 'how often to save and to sync the mapfile [auto,5m]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l max-slow-reads -d 'stop at more slow reads than this' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l pause-on-error -d 'wait so long after each failed or slow read [0]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l pause-on-pass -d 'wait so long between passes [0]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l wait-for-device -d 'how long to look for a device that is gone [1m]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l read-timeout -d 'mark a read as failed that takes longer, and jump on [never]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l check-every -d 'after every n errors read the last good sector again, and stop if it has changed [never]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l strategy -d 'in which order to read: classic (GNU ddrescue\'s), or that of another tool [classic]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l pace -d 'how fast a simulated disk\'s time passes: instant, real, or a factor [instant]' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l log-timings -d 'write what each read brought and how long it took to this new file' -r
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s h -l help -d 'print this text and exit'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s V -l version -d 'print the version and exit'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s A -l try-again -d 'take non-trimmed and non-scraped blocks for non-tried'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s B -l binary-prefixes -d 'show numbers in units of 1024, not 1000'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s C -l complete-only -d 'stay within the limits of the mapfile'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s d -l idirect -d 'read past the page cache [as devices are read anyway]'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s D -l odirect -d 'write past the page cache'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s f -l force -d 'write over a device, an image without map, or with the map of another source'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s I -l check-input-size -d 'refuse an infile that is not as long as the mapfile says'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s J -l check-on-error -d 'after each error read the last good sector again and compare'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s L -l loose-domain -d 'let the files of -m and -H be out of order and have gaps'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s M -l retrim -d 'take all failed blocks for non-trimmed'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s n -l no-scrape -d 'leave the scraping phase out'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s N -l no-trim -d 'leave the trimming phase out'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s O -l reopen-on-error -d 'close and open infile after each failed or slow read'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s p -l preallocate -d 'reserve room for outfile before starting'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s q -l quiet -d 'print nothing but errors'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s R -l reverse -d 'turn the direction of all passes round'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s S -l sparse -d 'do not write blocks of zeros'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s t -l truncate -d 'empty outfile first'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s u -l unidirectional -d 'run all passes in the same direction'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s W -l compare-before-write -d 'do not write what outfile holds already'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -s y -l synchronous -d 'make each write durable before the next read'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l reset-slow -d 'forget slow reads as soon as the rate rises'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l json -d 'write JSON Lines to standard output, and nothing else there'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l plain -d 'plain progress lines even on a terminal'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l buffered -d 'read devices through the page cache, which widens damage'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l allow-mounted -d 'read a source that is mounted for writing'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l reflink -d 'share the blocks of a healthy source file where possible, without reading them'
complete -c diskwright -n "__fish_diskwright_using_subcommand rescue" -l journal -d 'save changes in MAP.journal; the map itself is written when that outgrows it, and at the end'
complete -c diskwright -n "__fish_diskwright_using_subcommand gen-docs" -s h -l help -d 'Print help'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and not __fish_seen_subcommand_from map control mount export scenario serve rescue gen-docs help" -f -a "map" -d 'Look at maps of rescues, combine them, and turn them into lists of sectors and back'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and not __fish_seen_subcommand_from map control mount export scenario serve rescue gen-docs help" -f -a "control" -d 'Tell a disk that is being served what happens to it: a reset, a broken head, gone from the bus'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and not __fish_seen_subcommand_from map control mount export scenario serve rescue gen-docs help" -f -a "mount" -d 'Show a disk as a file, or as a block device, that fails as the disk does; until a signal comes'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and not __fish_seen_subcommand_from map control mount export scenario serve rescue gen-docs help" -f -a "export" -d 'Write the damage of a simulated disk as it stands at a moment, for other tools'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and not __fish_seen_subcommand_from map control mount export scenario serve rescue gen-docs help" -f -a "scenario" -d 'Look at simulated disks and what happened to them, and write new ones'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and not __fish_seen_subcommand_from map control mount export scenario serve rescue gen-docs help" -f -a "serve" -d 'Serve simulated disks, images and drives over the network: what is bad in them fails there as it does here'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and not __fish_seen_subcommand_from map control mount export scenario serve rescue gen-docs help" -f -a "rescue" -d 'Read everything that can be read from a failing disk: good parts first, resumable at any moment'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and not __fish_seen_subcommand_from map control mount export scenario serve rescue gen-docs help" -f -a "gen-docs" -d 'Write the manual pages and the shell completions of every name this program answers to'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and not __fish_seen_subcommand_from map control mount export scenario serve rescue gen-docs help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "show" -d 'Tell how much has which status'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "list" -d 'List the sectors that have certain statuses'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "create" -d 'Make a map from a list or bitmap of sectors'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "invert" -d 'Make what is finished bad, and everything else finished'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "and" -d 'Keep finished only what is finished in both maps'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "or" -d 'Finish what is finished in either map'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "xor" -d 'Finish what is finished in exactly one of the maps'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "shift" -d 'Move all blocks up or down'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "change" -d 'Give blocks of some statuses other ones'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "complete" -d 'Put unordered blocks in order and fill the gaps between them'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "compare" -d 'Tell whether two maps say the same: exit status 0 if so, else 1'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "annotate" -d 'Write the map with positions and sizes that a person can read beside each block'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "done" -d 'Tell whether everything is rescued: exit status 0 if so, else 1'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from map" -f -a "picture" -d 'Draw the map'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from scenario" -f -a "list" -d 'List the scenarios that come with the program'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from scenario" -f -a "show" -d 'Tell what happened to a disk, draw its damage, and say how long it takes to read'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from scenario" -f -a "check" -d 'Tell whether scenarios can be used: exit status 0 if so, 5 if one cannot, 4 if one cannot be read, 2 if there is none of that name'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from scenario" -f -a "schema" -d 'Write the JSON schema of scenarios'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from scenario" -f -a "new" -d 'Write a scenario to start from, with everything that it may say'
complete -c diskwright -n "__fish_diskwright_using_subcommand help; and __fish_seen_subcommand_from scenario" -f -a "fit" -d 'Estimate how a real drive works from a log of its reads, and write it down as a scenario'
