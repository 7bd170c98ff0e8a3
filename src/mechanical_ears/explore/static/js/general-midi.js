/** Names of the 128 General MIDI programs, numbered from 0 (MIDI Manufacturers Association, 1991). */

const PROGRAMS = `
grand piano, bright piano, electric grand piano, honky-tonk piano, electric piano 1,
electric piano 2, harpsichord, clavinet,
celesta, glockenspiel, music box, vibraphone, marimba, xylophone, tubular bells, dulcimer,
drawbar organ, percussive organ, rock organ, church organ, reed organ, accordion, harmonica,
bandoneon,
nylon guitar, steel guitar, jazz guitar, clean guitar, muted guitar, overdriven guitar,
distorted guitar, guitar harmonics,
acoustic bass, fingered bass, picked bass, fretless bass, slap bass 1, slap bass 2, synth bass 1,
synth bass 2,
violin, viola, cello, double bass, tremolo strings, pizzicato strings, harp, timpani,
string ensemble 1, string ensemble 2, synth strings 1, synth strings 2, choir aahs, voice oohs,
synth voice, orchestra hit,
trumpet, trombone, tuba, muted trumpet, French horn, brass section, synth brass 1, synth brass 2,
soprano sax, alto sax, tenor sax, baritone sax, oboe, English horn, bassoon, clarinet,
piccolo, flute, recorder, pan flute, blown bottle, shakuhachi, whistle, ocarina,
square lead, sawtooth lead, calliope lead, chiff lead, charang lead, voice lead, fifths lead,
bass and lead,
new age pad, warm pad, polysynth pad, choir pad, bowed pad, metallic pad, halo pad, sweep pad,
rain, soundtrack, crystal, atmosphere, brightness, goblins, echoes, sci-fi,
sitar, banjo, shamisen, koto, kalimba, bagpipe, fiddle, shanai,
tinkle bell, agogo, steel drums, woodblock, taiko, melodic tom, synth drum, reverse cymbal,
fret noise, breath noise, seashore, bird, telephone, helicopter, applause, gunshot`
  .split(",")
  .map((name) => name.trim());

/** @param {number} program 0..127 */
export const programName = (program) => PROGRAMS[program] ?? `program ${program}`;
