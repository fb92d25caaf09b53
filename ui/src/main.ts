// Puts the page together.
import '@fontsource-variable/inter/index.css';
import './styles/tokens.css';
import './styles/components.css';
import { mount } from 'svelte';
import App from './App.svelte';

const target = document.getElementById('app');
if (target) mount(App, { target });
